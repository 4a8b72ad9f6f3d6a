//! Documents: decisions have a status, links lead somewhere, and nothing under
//! `docs/` is out of reach of its index.

use std::collections::BTreeSet;

use crate::tidy::Complaint;
use crate::tree::{File, Tree};

const INDEX: &str = "docs/README.md";
const DECISIONS: &str = "docs/adr/";
const STATUSES: &[&str] = &["accepted", "superseded by", "proposed", "rejected"];

/// What is wrong with the documents.
pub(crate) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in tree.markdown() {
        for (line, target) in links(file.text()) {
            if !resolves(tree, &file.path, target) {
                let text = format!("the link to {target} leads nowhere");
                complaints.push(Complaint::new("links", &file.path, line, text));
            }
        }
        if file.path.starts_with(DECISIONS) {
            complaints.extend(check_decision(tree, file));
        }
    }
    complaints.extend(check_index(tree));
    complaints
}

fn check_decision(tree: &Tree, file: &File) -> Option<Complaint> {
    let number = file.name().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let twin = |other: &&File| {
        other.path.starts_with(DECISIONS)
            && other.path != file.path
            && other.name().get(..4) == number
    };
    let status = file.text().lines().take(8).find_map(|line| line.strip_prefix("Status: "));
    let text = if number.is_none() {
        "a decision's name begins with four digits"
    } else if tree.markdown().any(|other| twin(&other)) {
        "two decisions have this number"
    } else if !status.is_some_and(|status| STATUSES.iter().any(|word| status.starts_with(word))) {
        "a decision has a line `Status: accepted` (or superseded by, proposed, rejected) in its head"
    } else {
        return None;
    };
    Some(Complaint::new("decisions", &file.path, 0, text))
}

fn check_index(tree: &Tree) -> Vec<Complaint> {
    let Some(index) = tree.find(INDEX) else {
        return vec![Complaint::new("index", INDEX, 0, "is missing")];
    };
    let linked: BTreeSet<String> =
        links(index.text()).filter_map(|(_, target)| local(INDEX, target)).collect();
    let documents = tree.markdown().filter(|file| file.path.starts_with("docs/"));
    documents
        .filter(|file| file.path != INDEX && !linked.contains(&file.path))
        .map(|file| Complaint::new("index", &file.path, 0, format!("is not linked from {INDEX}")))
        .collect()
}

fn resolves(tree: &Tree, from: &str, target: &str) -> bool {
    let outside = ["http://", "https://", "mailto:", "#"];
    outside.iter().any(|start| target.starts_with(start))
        || local(from, target).is_some_and(|path| tree.has(&path))
}

/// The path from the root that a relative link means; none if it leaves the tree.
fn local(from: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let mut segments: Vec<&str> = from.split('/').collect();
    segments.pop();
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

/// The targets of the inline links, with their lines; code is not searched.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().flat_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        let prose = if fenced || fence { "" } else { line };
        let outside_code = prose.split('`').step_by(2);
        outside_code.flat_map(|part| part.split("](").skip(1)).filter_map(move |rest| {
            let end = rest.find([')', ' '])?;
            Some((at + 1, &rest[..end]))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(files: &[(&str, &str)]) -> Vec<&'static str> {
        check(&Tree::of(files)).iter().map(|complaint| complaint.rule).collect()
    }

    #[test]
    fn links_lead_somewhere() {
        let index = ("docs/README.md", "[a](a.md) [up](../README.md#x) [web](https://example.org)");
        let page = ("docs/a.md", "`[code](gone)`\n```\n[code](gone)\n```\n");
        assert!(rules(&[index, page, ("README.md", "[docs](docs/)")]).is_empty());
        assert_eq!(rules(&[("docs/README.md", ""), ("README.md", "[x](gone.md)")]), ["links"]);
    }

    #[test]
    fn a_link_beside_code_is_still_a_link() {
        let found: Vec<_> = links("`code` [x](a.md) `more` [`y`](b.md)").collect();
        assert_eq!(found, [(1, "a.md"), (1, "b.md")]);
    }

    #[test]
    fn every_document_is_in_the_index() {
        assert_eq!(rules(&[("docs/README.md", ""), ("docs/a.md", "")]), ["index"]);
        assert_eq!(rules(&[]), ["index"]);
    }

    #[test]
    fn a_decision_has_a_number_and_a_status() {
        let index = ("docs/README.md", "[one](adr/0001-one.md) [two](adr/0001-two.md)");
        let one = ("docs/adr/0001-one.md", "# 1\n\nStatus: accepted\n");
        assert!(rules(&[("docs/README.md", "[one](adr/0001-one.md)"), one]).is_empty());
        assert_eq!(
            rules(&[("docs/README.md", "[one](adr/0001-one.md)"), ("docs/adr/0001-one.md", "# 1")]),
            ["decisions"]
        );
        let two = ("docs/adr/0001-two.md", "Status: accepted\n");
        assert_eq!(rules(&[index, one, two]), ["decisions", "decisions"]);
    }
}

//! A few power cuts of the local backend; the long run is `cbr-sim --scenarios 20`.

use cbr_sim::crash::crash_states;

/// P2, P3; I2.
#[test]
fn what_was_acknowledged_survives_a_power_cut_whatever_the_disk_keeps() {
    let summary = crash_states(4, 6, 2);
    assert!(summary.failures.is_empty(), "{:#?}", summary.failures);
    assert!(summary.states > 300, "{} states", summary.states);
}

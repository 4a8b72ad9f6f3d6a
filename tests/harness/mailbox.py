"""A real SMTP server that keeps what it is given."""

import email
import email.policy
import re
import urllib.request

from aiosmtpd.controller import Controller

from .service import free_port


class Mailbox:
    """Mails, as (receivers, message), in the order in which they came."""

    def __init__(self):
        self.mails = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(self, _server, _session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 taken"

    def start(self):
        self._controller.start()
        return self

    def stop(self):
        self._controller.stop()

    def settings(self):
        """What a service is told that is to send its mails here."""
        return (
            f'[notify]\nsmtp_host = "127.0.0.1"\nsmtp_port = {self._controller.port}\nsmtp_tls = "none"\n'
            'from = "backup@example.org"\nallow_networks = ["127.0.0.0/8"]\n'
        )


def confirmation(mail):
    """The address by which the receiver of a question agrees to get mails."""
    return re.search(r"http://\S+/confirm\?token=\S+", mail.get_content()).group(0)


def agree(link):
    urllib.request.urlopen(urllib.request.Request(link, method="POST")).close()

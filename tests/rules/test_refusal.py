"""What providers write, and what it means. Typed anew; every address and host is invented."""

import pytest

from crm.mail.refusal import Refusal, classify

HARD, FULL, BUSY, GREY, RATE, POLICY, OURS, AWAY, OTHER = (
    Refusal.NO_SUCH_ADDRESS,
    Refusal.MAILBOX_FULL,
    Refusal.MAILBOX_BUSY,
    Refusal.GREYLISTED,
    Refusal.RATE_LIMITED,
    Refusal.POLICY,
    Refusal.OUR_FAULT,
    Refusal.UNAVAILABLE,
    Refusal.OTHER,
)

REPLIES = [
    # Gmail
    (HARD, 550, "5.1.1 The email account that you tried to reach does not exist. Please try "
     "double-checking the recipient's email address for typos. ?p=NoSuchUser gsmtp"),
    (HARD, 550, "5.2.1 The email account that you tried to reach is disabled. ?p=DisabledUser"),
    (HARD, 550, "5.2.1 The email account that you tried to reach is inactive. gsmtp"),
    (FULL, 552, "5.2.2 The email account that you tried to reach is over quota. ?p=OverQuotaPerm"),
    (FULL, 452, "4.2.2 The recipient's inbox is out of storage space. ?p=OverQuotaTemp gsmtp"),
    (BUSY, 450, "4.2.1 The user you are trying to contact is receiving mail too quickly."),
    (BUSY, 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that "
     "prevents additional messages from being delivered."),
    (BUSY, 550, "5.2.1 The user you are trying to contact is receiving mail at a rate that "
     "prevents additional messages from being delivered."),
    (RATE, 421, "4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from "
     "your IP address. To protect our users, mail has been temporarily rate limited."),
    (RATE, 421, "4.7.28 Gmail has detected an unusual rate of mail with your DKIM domain."),
    (POLICY, 550, "5.7.1 Gmail has detected that this message is likely unsolicited mail."),
    (POLICY, 550, "5.7.26 Your email has been blocked because the sender is unauthenticated. "
     "Gmail requires all senders to authenticate with either SPF or DKIM."),
    (POLICY, 550, "5.7.25 The IP address sending this message does not have a PTR record set up."),
    (POLICY, 421, "4.7.26 Unauthenticated mail from clinic.example is temporarily deferred."),
    (POLICY, 421, "4.7.0 Try again later, closing connection. gsmtp"),
    (POLICY, 550, "5.7.29 The connection was not made over TLS."),
    (OURS, 552, "5.3.4 Your message exceeded Google's message size limits."),
    (RATE, 550, "5.4.5 Daily user sending limit exceeded. gsmtp"),
    # Microsoft
    (HARD, 550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302)."),
    (HARD, 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient *** not found by SMTP address "
     "lookup"),
    (HARD, 550, "5.4.1 Recipient address rejected: Access denied. [XYZ.prod.protection.example]"),
    (HARD, 550, "5.1.1 RESOLVER.ADR.ExRecipNotFound; not found"),
    (POLICY, 550, "5.7.515 Access denied, sending domain clinic.example does not meet the "
     "required authentication level."),
    (POLICY, 550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their "
     "network is on our block list (S3140)."),
    (POLICY, 550, "5.7.606 Access denied, banned sending IP [192.0.2.1]."),
    (POLICY, 550, "5.7.509 Access denied, sending domain does not pass DMARC verification."),
    (RATE, 451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP "
     "reputation."),
    (RATE, 451, "4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)"),
    (RATE, 421, "RP-001 The mail server IP connecting to Outlook.com has exceeded the rate limit "
     "allowed."),
    (AWAY, 432, "4.3.2 STOREDRV.ClientSubmit; sender thread pool busy"),
    (HARD, 550, "5.7.1 RESOLVER.RST.NotAuthorized? No such user here"),
    (FULL, 554, "5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException"),
    # Mail.ru
    (HARD, 550, "Message was not accepted -- invalid mailbox. Local mailbox *** is unavailable: "
     "user not found"),
    (HARD, 550, "Message was not accepted -- invalid mailbox. Local mailbox *** is unavailable: "
     "account is disabled"),
    (HARD, 550, "5.1.1 Bad destination mailbox address: invalid mailbox"),
    (OURS, 550, "Message was not accepted -- invalid mailbox. Local mailbox *** is unavailable: "
     "message sending for this account is disabled"),
    (POLICY, 550, "spam message rejected. Please visit http://help.example/notspam-support/id"),
    (HARD, 550, "non-local recipient verification failed"),
    (POLICY, 550, "5.7.1 This message was not accepted due to domain owner DMARC policy"),
    (POLICY, 550, "Access from ip address 192.0.2.1 blocked. Visit http://help.example/"),
    (FULL, 550, "Mailbox *** is over quota"),
    (RATE, 451, "Ratelimit exceeded for mailbox sender. Please try again later"),
    (GREY, 451, "4.7.1 Greylisting in action, please come back later"),
    # Yandex
    (HARD, 550, "5.7.1 No such user!"),
    (HARD, 550, "5.1.1 Mailbox not found. Recipient address rejected"),
    (POLICY, 554, "5.7.1 [2] Message rejected under suspicion of SPAM; https://help.example/"),
    (GREY, 451, "4.7.1 Sorry, the service is currently unavailable. Please come back later."),
    (GREY, 450, "4.7.1 *** greylist, try again in 5 minutes"),
    (BUSY, 450, "4.2.1 The recipient has exceeded message rate limit. Try again later."),
    (RATE, 451, "4.5.1 The sending rate limit is exceeded, slow down"),
    (FULL, 452, "4.2.2 Mailbox is full"),
    # Rambler, hosting firms, Russian words
    (HARD, 550, "5.1.1 ***: Recipient address rejected: User unknown in virtual mailbox table"),
    (HARD, 550, "Пользователь не найден"),
    (HARD, 550, "Такой почтовый ящик не существует"),
    (HARD, 550, "5.0.0 Нет такого пользователя на этом сервере"),
    (HARD, 550, "Получатель заблокирован: ящик отключён за неактивность"),
    (FULL, 552, "Почтовый ящик получателя переполнен"),
    (FULL, 452, "4.2.2 Превышена квота пользователя"),
    (POLICY, 554, "Письмо отклонено: подозрение на спам"),
    (POLICY, 550, "5.7.1 Ваш адрес находится в чёрном списке"),
    (GREY, 450, "Вы попали в серый список, повторите попытку через 5 минут"),
    (RATE, 451, "Слишком много писем с вашего сервера, попробуйте позже"),
    (RATE, 450, "Превышен лимит соединений"),
    (OURS, 552, "Размер письма превышает допустимый"),
    (OURS, 550, "Домен отправителя не существует"),
    (FULL, 451, "clinic.example prohibited. Disk quota exceeded"),
    # Postfix
    (HARD, 550, "5.1.1 ***: Recipient address rejected: User unknown in local recipient table"),
    (HARD, 550, "5.1.1 ***: Recipient address rejected: undeliverable address: host said: 550"),
    (BUSY, 450, "4.1.1 ***: Recipient address rejected: unverified address: Address lookup failed"),
    (GREY, 450, "4.2.0 ***: Recipient address rejected: Greylisted, see http://postgrey.example"),
    (OURS, 450, "4.1.8 ***: Sender address rejected: Domain not found"),
    (OURS, 550, "5.1.0 ***: Sender address rejected: User unknown in virtual alias table"),
    (POLICY, 450, "4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]"),
    (POLICY, 504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
    (POLICY, 450, "4.7.1 <clinic>: Helo command rejected: Host not found"),
    (POLICY, 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a list"),
    (POLICY, 554, "5.7.1 ***: Relay access denied"),
    (OURS, 552, "5.3.4 Message size exceeds fixed limit"),
    (AWAY, 452, "4.3.1 Insufficient system storage"),
    (RATE, 452, "4.5.3 Error: too many recipients"),
    (RATE, 450, "4.7.1 Error: too much mail from 192.0.2.1"),
    (RATE, 421, "4.7.0 relay.example Error: too many errors"),
    (AWAY, 451, "4.3.0 ***: Temporary lookup failure"),
    (AWAY, 421, "4.3.2 All server ports are busy"),
    (HARD, 556, "5.1.10 ***: Recipient address rejected: Domain does not accept mail (nullMX)"),
    # Exim
    (HARD, 550, "Unrouteable address"),
    (HARD, 550, "5.0.0 No Such User Here"),
    (HARD, 550, "unknown user"),
    (OURS, 550, "Verification failed for ***\nCalled: 192.0.2.9\nSender verify failed"),
    (POLICY, 550, "relay not permitted"),
    (GREY, 451, "Temporary greylisting in effect, please retry"),
    (AWAY, 451, "Temporary local problem - please try later"),
    (OTHER, 550, "Administrative prohibition"),
    (OURS, 550, "maximum allowed line length is 998 octets, got 2048; too long"),
    (POLICY, 550, "High probability of spam"),
    (FULL, 552, "mailbox is full (MTA-imposed quota exceeded while writing to file)"),
    # Sendmail, Exchange, iCloud, Yahoo, web.de, others
    (HARD, 550, "5.1.1 ***... User unknown"),
    (HARD, 550, "5.1.2 ***... Host unknown (Name server: nowhere.example: host not found)"),
    (HARD, 554, "delivery error: dd This user doesn't have a yahoo.example account [-5]"),
    (HARD, 554, "30 Sorry, your message to *** cannot be delivered. This mailbox is disabled"),
    (RATE, 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected "
     "volume or user complaints"),
    (POLICY, 553, "5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip "
     "is in a block list"),
    (HARD, 550, "5.1.1 ***: user does not exist"),
    (POLICY, 554, "Transaction failed. Reject due to policy restrictions."),
    (HARD, 550, "Requested action not taken: mailbox unavailable"),
    (HARD, 550, "Mailbox is frozen."),
    (HARD, 551, "not our customer"),
    (HARD, 553, "sorry, that recipient does not exist; no mailbox here by that name (#5.7.1)"),
    (POLICY, 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    (HARD, 550, "Invalid recipient - https://kb.example/550"),
    (HARD, 550, "5.1.1 The recipient's e-mail address was not found in the recipient's e-mail "
     "system"),
    (HARD, 550, "5.1.6 Recipient no longer on server: mailbox has moved"),
    (POLICY, 550, "5.7.1 Message rejected due to content restrictions"),
    (POLICY, 554, "5.7.1 The message contains a virus"),
    (POLICY, 571, "5.7.1 Delivery not authorized, message refused"),
    (OURS, 550, "5.6.0 Lone CR or LF in headers (see RFC5322 section 2.2)"),
    (OURS, 553, "5.1.7 The originator address is not valid"),
    (OURS, 553, "5.1.8 Domain of sender address does not resolve"),
    (OURS, 501, "5.5.4 Syntax error in parameters or arguments"),
    (OURS, 535, "5.7.8 Error: authentication failed"),
    (OURS, 550, "5.7.1 The domain of From address does not exist"),
    (OURS, 550, "Requested action not taken: mailbox unavailable; invalid DNS MX record"),
    (OTHER, 550, ""),
    (OTHER, 554, "Transaction failed"),
    (OTHER, 550, "5.4.6 Routing loop detected"),
    (AWAY, 421, "Service not available, closing transmission channel"),
    (AWAY, 451, "4.4.1 connection timed out"),
    (BUSY, 450, "mailbox unavailable"),
    (HARD, None, "smtp; 550 5.1.1 User unknown"),
    (HARD, None, "5.4.4 Unable to route: no mail hosts for domain"),
    (AWAY, None, "connection lost"),
    (BUSY, 550, "5.2.1 recipient is receiving mail too fast"),
    (BUSY, 451, "User unknown, try again later"),
    (BUSY, 450, "Почтовый ящик временно недоступен"),
    (AWAY, 451, "4.4.3 DNS lookup of the recipient's domain timed out"),
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "code", "text"), REPLIES)
def test_a_reply_is_taken_for_what_it_says(refusal: Refusal, code: int | None, text: str) -> None:
    assert classify(code, None, text, stage="dot") is refusal


@pytest.mark.parametrize("stage", ["connect", "hello", "mail", "data"])
def test_before_a_recipient_is_named_nothing_is_said_of_a_person(stage: str) -> None:
    said = {classify(code, None, text, stage=stage) for _refusal, code, text in REPLIES}
    assert said.isdisjoint({HARD, FULL, BUSY})


def test_what_is_refused_for_now_is_never_hard() -> None:
    for refusal, code, text in REPLIES:
        if refusal is HARD and code:
            status = text.replace("5.", "4.", 1)
            assert classify(code - 100, None, status, stage="rcpt") is not HARD


def test_the_status_that_is_given_goes_before_one_in_the_text() -> None:
    assert classify(550, "5.1.1", "see 5.7.1", stage="rcpt") is HARD
    assert classify(None, "4.2.2", "", stage="dot") is FULL


def test_a_date_is_no_status() -> None:
    assert classify(550, None, "вернусь 5.1.2027", stage="dot") is OTHER


def test_an_address_in_the_text_decides_nothing() -> None:
    text = "5.1.1 <spam.blacklist@firm.example>: user unknown"
    assert classify(550, None, text, stage="rcpt") is HARD

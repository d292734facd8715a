"""What providers write when they refuse a letter, in lower case; whole words where it matters."""

import re
from typing import Final


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases))


GREYLISTED: Final = _any(r"gr[ea]y.?list", r"сер\w+ спис", r"гре[йи].?лист")
OUR_SENDER: Final = _any(
    r"sender.{0,12} (rejected|refused|denied|not )",
    r"sender.{0,12} (verif|domain|unknown|is not|does not)",
    r"(verif|call.?(out|back))\w*.{0,20}sender",
    r"(invalid|unknown|bad|unroute?able) (sender|return.?path|mail from)",
    r"(mail from|return.?path|envelope.from).{0,40}(invalid|not (exist|resolve|valid)|unknown)",
    r"domain of (the )?(sender|from)|from (header|address|domain)|originator|invalid dns",
    r"message sending for this account|(адрес|домен)\w* отправителя",
)
"""Our own address or domain is what "does not exist" here."""
OUR_HOST: Final = _any(
    r"client host|\b[he][he]lo\b|reverse (dns|host)|\bptr\b|\brdns\b",
    r"your (ip|host|server|domain|network|dns)\b|\bip (address )?.{0,50}block",
    r"\bspf\b|\bdkim\b|\bdmarc\b|dnsbl|\brbl\b|spamhaus|spamcop|barracuda|senderbase",
)
WANTED_BY_NOBODY: Final = _any(
    r"spam\b|\bspam|unsolicited|phish|virus|malware|malicious|suspicio",
    r"(black|block|deny).?list|reputation",
    r"спам|ч[её]рн\w+ спис|подозрительн|репутаци",
)
NO_SUCH: Final = _any(
    r"no such (user|mailbox|recipient|address|person|account|e-?mail|domain|local)|nosuchuser",
    r"(user|recipient|mailbox|account|addressee|alias|local part)( \S+)? (is )?(unknown|not known)",
    r"unknown( or illegal)? (user|recipient|mailbox|account|address|local.?part|alias)",
    r"(user|recipient|mailbox|account|address|customer|person|domain|login)\b.{0,60}?"
    r"((does not|doesn.t) exist|(not|couldn.t|can.t) (be )?found|cannot be found|no longer )",
    r"(invalid|illegal|non-?existent|bad|unroute?able|undeliverable) "
    r"(destination |final )?(mailbox|recipient|user|address|account|alias)",
    r"(mailbox|recipient|address) (name )?(is )?(invalid|not valid|nonexistent|undeliverable)",
    r"not a (valid|known) (user|mailbox|recipient|address)|not our customer|user not local",
    r"recipient (address )?rejected: (access denied|user|undeliverable|invalid|no such|not found)",
    r"recipientnotfound|recipient verif\w+ fail|no one (here )?by that name|no mailbox (here|by)",
    r"null mx|does(n.t| not) accept mail|nxdomain|host or domain name not found|domain not found",
    r"this user doesn.t have an? \S+ account|not listed in \S*(directory|domino)",
    r"(нет такого|неизвестн\w+|несуществующ\w+|неверн\w+) (пользовател|адрес|почтов|ящик|получат)",
    r"(пользовател|адрес|ящик|получател|аккаунт|домен)\w*.{0,40}?(не существу|не найден|удал[её]н)",
)
FULL: Final = _any(
    r"(mailbox|inbox|account|user|recipient|maildir)\b.{0,60}?"
    r"(\bfull\b|over.?quota|exceed\w*.{0,20}(quota|storage|size|limit))",
    r"over (its |the |disk |storage )?quota|quota (is |has been )?exceed|overquota",
    r"exceeded (its )?(storage|quota)|(not enough|insufficient|out of).{0,30}mailbox",
    r"ящик\w*.{0,30}(переполнен|полон)|квот\w+.{0,30}(превышен|исчерпан)|превышен\w* квот",
)
ONE_MAILBOX_BUSY: Final = _any(
    r"(user|recipient).{0,40}(receiving mail|exceeded (the )?message rate)",
)
"""That mailbox gets too much from everybody: nobody else has to rest."""
ONE_MAILBOX_AWAY: Final = _any(
    r"(mailbox|recipient|account)\b.{0,40}(unavailable|busy|locked|disabled|inactive|suspended)",
    r"(ящик|получател)\w*.{0,40}(недоступ|занят|заблокирован)",
)
"""In a refusal for now: one for good says by it that nobody is there."""
SIZE: Final = _any(
    r"(message|mail|letter|size|data|header|line)\w*.{0,40}"
    r"(too (big|large|long)|exceed\w*.{0,30}(size|maximum|length))",
    r"(size|length) (limit )?exceed|maximum (message |allowed )?size|bare (lf|cr)|syntax error",
    r"(header|from:|date:|message-id|8.?bit|smtputf8).{0,40}"
    r"(missing|malformed|invalid|duplicate|not support)",
    r"(missing|malformed|invalid|duplicate|multiple).{0,20}(header|from:|date:|message-id)",
    r"размер\w* (письма|сообщения)|письмо слишком (больш|велик)",
)
TOO_MUCH: Final = _any(
    r"rate.?limit|throttl|slow down|server busy|\bts0[1-4]\b|too fast|sending too (quick|fast)",
    r"too (many|much) (\S+ )?(mail|e-?mail|messages|letters|connections|sessions|concurrent)",
    r"too (many|much) (\S+ )?(recipients|requests|errors)",
    r"(message|sending|hourly|daily|connection|concurren\w+) (rate )?(limit|quota)",
    r"(unusual|high|excessive) (rate|volume|amount|number) of|deferred due to .{0,30}volume",
    r"(exceed|reached)\w*.{0,40}(rate|messages|connections|per (hour|minute|day|second))",
    r"слишком (много|часто)|превышен\w* .{0,20}(лимит|частот|скорост|число|количеств)",
    r"ограничени\w+ (на )?(количеств|числ|скорост)",
)
POLICY: Final = _any(
    r"policy|prohibited|not (permitted|authori[sz]ed|allowed)|access denied|relay|blocked|banned",
    r"authenticat|content (filter|reject)|(message|mail) (content )?(was )?(rejected|refused)",
    r"abus(e|ive)|user complaints|bulk mail|junk|your account",
    r"заблокирован\w* (ваш|письм|отправ)|политик\w* безопасности|отклонено",
)
CLOSED: Final = _any(
    r"(account|mailbox|user|recipient|address)\b.{0,50}?"
    r"(disabled|inactive|deactivated|suspended|closed|terminated|frozen|abandoned)",
    r"(disabled|inactive|deactivated|suspended|discontinued|expired) (account|mailbox|user|recip)",
    r"mailbox.{0,40} unavailable|mailbox name not allowed|invalid mailbox",
    r"(ящик|аккаунт|пользовател|получател|уч[её]тн\w+ запис)\w*.{0,40}"
    r"(заблокирован|отключ|закрыт|неактивн)",
)
"""Weaker than NO_SUCH: the same words also stand in refusals of a letter nobody wants."""
LATER: Final = _any(r"later|retry|try again|come back|позже|повторите")

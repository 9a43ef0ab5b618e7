"""Files as banks send them, for tests."""

from __future__ import annotations

CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
PAIN = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"


OUR_ACCOUNT = "DE75512108001245126199"  # out of which payments go in tests


def camt054(
    *entries: str,
    namespace: str = CAMT,
    prolog: str = '<?xml version="1.0" encoding="UTF-8"?>',
    account: str = OUR_ACCOUNT,
) -> bytes:
    """A notification about these entries of an account; none when it is empty."""
    inside = "".join(entries)
    whose = f"<Acct><Id><IBAN>{account}</IBAN></Id></Acct>" if account else ""
    return (
        f'{prolog}<Document xmlns="{namespace}"><BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>M1</MsgId></GrpHdr>'
        f"<Ntfctn><Id>N1</Id>{whose}{inside}</Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
    ).encode()


def entry(
    *payments: tuple[str, str],
    status: str = "BOOK",
    side: str = "DBIT",
    returned: str = "",
    reversal: str = "",
    currency: str = "CNY",
    side_of_payment: str = "",
    creditor: str = "",
) -> str:
    """A booked entry of payments (end-to-end id, amount), each with its amount."""
    own_side = f"<CdtDbtInd>{side_of_payment}</CdtDbtInd>" if side_of_payment else ""
    paid = f"<RltdPties><CdtrAcct><Id><IBAN>{creditor}</IBAN></Id></CdtrAcct></RltdPties>" if creditor else ""
    why = f"<RtrInf><Rsn><Cd>{returned}</Cd></Rsn><AddtlInf>account closed</AddtlInf></RtrInf>" if returned else ""
    reversed_ = f"<RvslInd>{reversal}</RvslInd>" if reversal else ""
    details = "".join(
        f"<TxDtls><Refs><AcctSvcrRef>B-{name}</AcctSvcrRef><EndToEndId>{name}</EndToEndId></Refs>"
        f'<Amt Ccy="{currency}">{amount}</Amt>{own_side}{paid}{why}</TxDtls>'
        for name, amount in payments
    )
    return (
        f'<Ntry><Amt Ccy="{currency}">1.00</Amt><CdtDbtInd>{side}</CdtDbtInd>{reversed_}<Sts><Cd>{status}</Cd></Sts>'
        f"<NtryDtls>{details}</NtryDtls></Ntry>"
    )


def pain002(*payments: tuple[str, str], message_id: str = "M", group: str = "", block: str = "") -> bytes:
    """A status report about payments (end-to-end id, status)."""
    group_status = f"<GrpSts>{group}</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>" if group else ""
    block_status = f"<PmtInfSts>{block}</PmtInfSts><StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>" if block else ""
    told = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{name}</OrgnlEndToEndId><TxSts>{status}</TxSts>"
        "<StsRsnInf><Rsn><Cd>AC01</Cd></Rsn></StsRsnInf></TxInfAndSts>"
        for name, status in payments
    )
    return (
        f'<?xml version="1.0"?><Document xmlns="{PAIN}"><CstmrPmtStsRpt><GrpHdr><MsgId>S1</MsgId></GrpHdr>'
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{message_id}</OrgnlMsgId>{group_status}</OrgnlGrpInfAndSts>"
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{message_id}</OrgnlPmtInfId>{block_status}{told}</OrgnlPmtInfAndSts>"
        "</CstmrPmtStsRpt></Document>"
    ).encode()

package payment

import (
	"time"

	"gapura/internal/money"
)

// TransactionStatus is the provider's own word for where a transaction stands.
type TransactionStatus string

// The provider's words.
const (
	TxAuthorize         TransactionStatus = "authorize"
	TxPending           TransactionStatus = "pending"
	TxCapture           TransactionStatus = "capture"
	TxSettlement        TransactionStatus = "settlement"
	TxDeny              TransactionStatus = "deny"
	TxCancel            TransactionStatus = "cancel"
	TxExpire            TransactionStatus = "expire"
	TxFailure           TransactionStatus = "failure"
	TxRefund            TransactionStatus = "refund"
	TxPartialRefund     TransactionStatus = "partial_refund"
	TxChargeback        TransactionStatus = "chargeback"
	TxPartialChargeback TransactionStatus = "partial_chargeback"
)

// Channel is how someone paid.
type Channel struct {
	Type string // the provider's payment_type, such as qris, gopay, bank_transfer, echannel, credit_card, cstore
	OnUs bool   // a QRIS payment whose issuer is also the acquirer: it can be refunded for longer
}

// ProviderStatus is what the provider says about one transaction when it is asked; only this is ever applied.
type ProviderStatus struct {
	Missing       bool // the provider knows no transaction: nobody has chosen a way to pay
	OrderID       string
	TransactionID string
	Status        TransactionStatus
	StatusCode    string
	Fraud         string // accept, deny, challenge or empty
	Gross         money.Rupiah
	Currency      string
	Channel       Channel
	SettledAt     time.Time    // zero if the provider gave none
	RefundAmount  money.Rupiah // all refunds together
	Refunds       []ProviderRefund
	AskedAt       time.Time // when the question was sent, by our clock
}

// ProviderRefund is one refund in the provider's list.
type ProviderRefund struct {
	Key    string
	Amount money.Rupiah
}

// Notification is what the provider sent on its own. Its signature was verified, but that covers neither the status nor the
// moment, so it is only a reason to ask.
type Notification struct {
	OrderID           string
	TransactionID     string
	TransactionStatus TransactionStatus
	StatusCode        string
	GrossAmount       string // as written by the provider
}

type verdict int

const (
	unknownVerdict verdict = iota
	missingVerdict
	waitingVerdict
	reviewVerdict
	paidVerdict
	deadVerdict
	refundVerdict
	chargebackVerdict
)

// verdict reads the provider's status. Only an accepted settlement or capture with code 200 is money.
func (s ProviderStatus) verdict() verdict {
	if s.Missing {
		return missingVerdict
	}
	switch s.Status {
	case TxPending, TxAuthorize:
		return waitingVerdict
	case TxSettlement, TxCapture:
		return s.paidVerdict()
	case TxDeny, TxCancel, TxExpire, TxFailure:
		return deadVerdict
	case TxRefund, TxPartialRefund:
		return refundVerdict
	case TxChargeback, TxPartialChargeback:
		return chargebackVerdict
	}
	return unknownVerdict
}

func (s ProviderStatus) paidVerdict() verdict {
	switch {
	case s.Fraud == "challenge":
		return reviewVerdict
	case s.Fraud == "deny":
		return deadVerdict
	case s.StatusCode == "200" && (s.Fraud == "accept" || s.Fraud == ""): //nolint:usestdlibvars // a word of the provider, in its body
		return paidVerdict
	}
	return unknownVerdict
}

// Paid reports whether the provider holds the customer's money.
func (s ProviderStatus) Paid() bool {
	v := s.verdict()
	return v == paidVerdict || v == refundVerdict || v == chargebackVerdict
}

// refundedSoFar returns how much went back through the provider. An older answer names no amount: then the list counts, and
// a whole refund without a list is everything that came in.
func (s ProviderStatus) refundedSoFar(received money.Rupiah) money.Rupiah {
	if s.RefundAmount > 0 {
		return s.RefundAmount
	}
	var sum money.Rupiah
	for _, r := range s.Refunds {
		sum += r.Amount
	}
	if sum == 0 && s.Status == TxRefund {
		return received
	}
	return sum
}

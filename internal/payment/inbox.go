package payment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"gapura/internal/fault"
	"gapura/internal/id"
)

// Receive verifies a notification and stores it, so that the provider can be answered at once; Confirm does the rest as a
// job. It returns the notification's key and whether it was new. Its faults are bad_json for a body that is no notification
// and not_allowed for a wrong signature; neither is stored.
func (s *Service) Receive(ctx context.Context, body []byte) (key string, fresh bool, err error) {
	n, err := s.Gateway.ParseNotification(body)
	switch {
	case errors.Is(err, ErrBadSignature):
		return "", false, fault.Wrap(fault.NotAllowed, err)
	case err != nil:
		return "", false, fault.Wrap(fault.BadJSON, err)
	}
	sum := sha256.Sum256(body)
	key = hex.EncodeToString(sum[:])
	fresh, err = s.Store.Keep(ctx, Kept{Key: key, ProviderID: n.OrderID, Body: body, At: s.Clock.Now()})
	return key, fresh, err
}

// Verdicts on a notification, beside the values of Ignored.
const (
	VerdictApplied      = "applied"
	VerdictUnknownOrder = "unknown_order"
)

// Confirm asks the provider about what the stored notification speaks of and applies the answer. It is safe to repeat. A
// notification of an order that is not ours (another installation with the same keys) is judged unknown_order and over.
func (s *Service) Confirm(ctx context.Context, key string) (verdict string, err error) {
	kept, err := s.Store.Kept(ctx, key)
	if err != nil || kept.Verdict != "" {
		return kept.Verdict, err
	}
	verdict, err = s.confirm(ctx, kept)
	if err != nil {
		return "", err
	}
	return verdict, s.Store.Judge(ctx, key, verdict)
}

func (s *Service) confirm(ctx context.Context, kept Kept) (string, error) {
	n, err := s.Gateway.ParseNotification(kept.Body)
	if err != nil {
		return "", err
	}
	order, err := s.Store.OrderOf(ctx, n.OrderID)
	if fault.CodeOf(err) == fault.NoSuchOrder {
		return VerdictUnknownOrder, nil
	} else if err != nil {
		return "", err
	}
	return s.confirmAttempt(ctx, order, n)
}

func (s *Service) confirmAttempt(ctx context.Context, order id.ID, n Notification) (string, error) {
	c, err := s.Store.Case(ctx, order)
	if err != nil {
		return "", err
	}
	a, ok := c.ByProviderID(n.OrderID)
	if !ok {
		return VerdictUnknownOrder, nil
	}
	c, d, _, err := s.ask(ctx, order, a.N, n.TransactionID)
	if err != nil {
		return "", err
	}
	if err := s.closeOthers(ctx, c); err != nil {
		return "", err
	}
	if d.Ignored != "" {
		return string(d.Ignored), nil
	}
	return VerdictApplied, nil
}

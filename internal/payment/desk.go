package payment

import (
	"context"
	"errors"
	"time"

	"gapura/internal/id"
)

// Refund gives a confirmed order's money back, as RequestRefund decides. The refunds are sent by SendRefunds.
func (s *Service) Refund(ctx context.Context, order id.ID, r RefundRequest) (Case, error) {
	return s.Store.Change(ctx, order, func(c Case) (Decision, error) {
		return RequestRefund(c, r, s.Clock.Now())
	})
}

// RecordByHand records that finance transferred a manual refund; note is the bank's reference.
func (s *Service) RecordByHand(ctx context.Context, order id.ID, key, note, by string) (Case, error) {
	return s.Store.Change(ctx, order, func(c Case) (Decision, error) {
		return RecordByHand(c, key, note, by, s.Clock.Now())
	})
}

// WithdrawRefund takes back a partial refund that was not sent yet.
func (s *Service) WithdrawRefund(ctx context.Context, order id.ID, key string) (Case, error) {
	return s.Store.Change(ctx, order, func(c Case) (Decision, error) {
		return WithdrawRefund(c, key, s.Clock.Now())
	})
}

// SendRefund takes the next step of one refund: wait, ask the provider, or hand it to finance. A *ProviderError means that
// the provider could not take it now; the refund is due again later by itself.
func (s *Service) SendRefund(ctx context.Context, order id.ID, key string) (RefundStep, error) {
	var step RefundStep
	c, err := s.Store.Change(ctx, order, func(c Case) (d Decision, err error) {
		step, d = NextRefund(c, key, s.Clock.Now())
		return d, nil
	})
	if err != nil || step != RefundSend {
		return step, err
	}
	r, _ := c.Refund(key)
	a, _ := c.Attempt(r.Attempt)
	err = s.Gateway.Refund(ctx, GatewayRefund{ProviderID: a.ProviderID, Key: r.Key, Amount: r.Amount, Reason: string(r.Reason)})
	return step, s.refundAnswered(ctx, order, r, err)
}

// refundAnswered follows up on the provider's answer: only the status call says that money went back.
func (s *Service) refundAnswered(ctx context.Context, order id.ID, r Refund, answer error) error {
	var refusal *ProviderError
	if errors.As(answer, &refusal) && !refusal.Temporary && refusal.Code != CodeDuplicate {
		_, err := s.Store.Change(ctx, order, func(c Case) (Decision, error) {
			return RefuseRefund(c, r.Key, "the provider refused: "+refusal.Code, s.Clock.Now()), nil
		})
		return err
	}
	var after time.Duration
	if refusal != nil {
		after = refusal.RetryAfter
	}
	// Due again later, in case the status does not show the refund yet or this process ends here.
	if _, err := s.Store.Change(ctx, order, func(c Case) (Decision, error) {
		return RetryRefund(c, r.Key, after, s.Clock.Now()), nil
	}); err != nil {
		return err
	}
	if answer != nil && (refusal == nil || refusal.Temporary) {
		return answer
	}
	_, _, _, err := s.ask(ctx, order, r.Attempt, "")
	return err
}

// SendRefunds takes the next step of up to limit refunds that are due. One refund's trouble does not stop the others; all
// troubles are returned joined.
func (s *Service) SendRefunds(ctx context.Context, limit int) (int, error) {
	due, err := s.Store.RefundsToSend(ctx, s.Clock.Now(), limit)
	if err != nil {
		return 0, err
	}
	var troubles error
	for _, r := range due {
		if _, err := s.SendRefund(ctx, r.Order, r.Key); err != nil {
			troubles = errors.Join(troubles, err)
		}
	}
	return len(due), troubles
}

// Reconcile asks about up to limit attempts that are due: it finds what a lost notification did not tell and closes what
// should be closed. It returns how many were asked about; one attempt's trouble does not stop the others.
func (s *Service) Reconcile(ctx context.Context, limit int) (int, error) {
	due, err := s.Store.AttemptsToAsk(ctx, s.Clock.Now(), limit)
	if err != nil {
		return 0, err
	}
	var troubles error
	for _, ref := range due {
		troubles = errors.Join(troubles, s.reconcile(ctx, ref))
	}
	return len(due), troubles
}

func (s *Service) reconcile(ctx context.Context, ref AttemptRef) error {
	c, _, _, err := s.ask(ctx, ref.Order, ref.N, "")
	if err != nil {
		// Asked again later, not at once: a provider in trouble is not helped by questions.
		if a, ok := c.Attempt(ref.N); ok {
			err = errors.Join(err, s.Store.Asked(ctx, ref, a.postponed(s.Clock.Now())))
		}
		return err
	}
	return s.closeOthers(ctx, c)
}

// Reseat offers places that came back to those of the event who paid late, first paid first, and returns how many got one.
// An order whose places do not fit is passed over, since a smaller one may fit.
func (s *Service) Reseat(ctx context.Context, eventID int64, limit int) (int, error) {
	waiting, err := s.Store.WithoutPlace(ctx, eventID, limit)
	if err != nil {
		return 0, err
	}
	seated := 0
	for _, order := range waiting {
		var d Decision
		if _, err := s.Store.Change(ctx, order, func(c Case) (Decision, error) {
			d = Reseat(c, s.Clock.Now())
			return d, nil
		}); err != nil {
			return seated, err
		}
		if d.Order != "" {
			seated++
		}
	}
	return seated, nil
}

// Package fault is how the product says no. A Fault has a stable code that clients may rely on, parameters for the
// sentence a person reads, a wrapped cause for the log, and, where waiting helps, for how long.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Code names a kind of fault for clients. Codes are part of the public contract: they are added, never changed.
type Code string

// The codes of the public contract.
const (
	BadRequest           Code = "bad_request"
	HeaderTooLarge       Code = "header_too_large"
	BadJSON              Code = "bad_json"
	TooLarge             Code = "too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	ValidationFailed     Code = "validation_failed"
	KeyMissing           Code = "idempotency_key_missing"
	KeyReused            Code = "idempotency_key_reused"
	KeyInFlight          Code = "idempotency_in_flight"
	SoldOut              Code = "sold_out"
	PriceChanged         Code = "price_changed"
	AlreadyRegistered    Code = "already_registered"
	NotOpen              Code = "not_open"
	Closed               Code = "closed"
	QueuePassRequired    Code = "queue_pass_required"
	ConfirmationRequired Code = "confirmation_required"
	CaptchaFailed        Code = "captcha_failed"
	RateLimited          Code = "rate_limited"
	Overloaded           Code = "overloaded"
	OutcomeUnknown       Code = "outcome_unknown"
	NoSuchEvent          Code = "no_such_event"
	NoSuchOrder          Code = "no_such_order"
	NotAllowed           Code = "not_allowed"
	WrongState           Code = "wrong_state"
	PaymentUnavailable   Code = "payment_unavailable"
	NotReady             Code = "not_ready"
	CrossOrigin          Code = "cross_origin"
	NotFound             Code = "not_found"
	MethodNotAllowed     Code = "method_not_allowed"
	Internal             Code = "internal"
)

// Codes lists every code; a test proves that each has an HTTP status and a sentence in every language.
func Codes() []Code {
	return []Code{
		BadRequest, HeaderTooLarge, BadJSON, TooLarge, UnsupportedMediaType, ValidationFailed, KeyMissing, KeyReused, KeyInFlight, SoldOut,
		PriceChanged, AlreadyRegistered, NotOpen, Closed, QueuePassRequired, ConfirmationRequired, CaptchaFailed, RateLimited, Overloaded,
		OutcomeUnknown, NoSuchEvent, NoSuchOrder, NotAllowed, WrongState, PaymentUnavailable, NotReady, CrossOrigin, NotFound, MethodNotAllowed, Internal,
	}
}

// Field is one fault of one input: where it is (a JSON pointer into the request body), what is wrong (a stable code) and
// the values the sentence about it needs.
type Field struct {
	Pointer string
	Code    string
	Params  map[string]any
}

// Fault is an error that a client may see.
type Fault struct {
	Code       Code
	Fields     []Field        // every faulty input at once, for ValidationFailed
	Params     map[string]any // public members of the problem document, such as "categories" or "opens_at"
	RetryAfter time.Duration  // 0: waiting does not help
	Cause      error          // for the log only; never shown
}

// New returns a fault without parameters.
func New(code Code) *Fault { return &Fault{Code: code} }

// Wrap returns a fault that carries its cause for the log.
func Wrap(code Code, cause error) *Fault { return &Fault{Code: code, Cause: cause} }

// With returns a copy of f that has the public member key.
func (f *Fault) With(key string, value any) *Fault {
	c := *f
	c.Params = make(map[string]any, len(f.Params)+1)
	for k, v := range f.Params {
		c.Params[k] = v
	}
	c.Params[key] = value
	return &c
}

// After returns a copy of f that asks the client to wait for d.
func (f *Fault) After(d time.Duration) *Fault {
	c := *f
	c.RetryAfter = d
	return &c
}

// Error is for logs: the code, the faulty fields' pointers and the cause, never a value that a person typed.
func (f *Fault) Error() string {
	s := string(f.Code)
	for _, field := range f.Fields {
		s += fmt.Sprintf(" %s:%s", field.Pointer, field.Code)
	}
	if f.Cause != nil {
		s += ": " + f.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// Is makes errors.Is(err, fault.New(code)) compare codes.
func (f *Fault) Is(target error) bool {
	var other *Fault
	return errors.As(target, &other) && other.Code == f.Code
}

// CodeOf returns the code of the first Fault in err's chain, Internal for another error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return Internal
}

package fault

// HTTPStatus is the status that the public contract gives a code. It is here, and not in the API, because the pages answer
// with the same.
func (c Code) HTTPStatus() int {
	switch c {
	case BadRequest, BadJSON, KeyMissing:
		return 400
	case NotAllowed:
		return 401
	case NotOpen, Closed, QueuePassRequired, ConfirmationRequired, CaptchaFailed, CrossOrigin:
		return 403
	case NoSuchEvent, NoSuchOrder, NotFound:
		return 404
	case MethodNotAllowed:
		return 405
	case KeyInFlight, SoldOut, PriceChanged, AlreadyRegistered, WrongState:
		return 409
	case TooLarge:
		return 413
	case UnsupportedMediaType:
		return 415
	case ValidationFailed, KeyReused:
		return 422
	case RateLimited:
		return 429
	case HeaderTooLarge:
		return 431
	case Overloaded, OutcomeUnknown, PaymentUnavailable, NotReady:
		return 503
	case Internal:
	}
	return 500
}

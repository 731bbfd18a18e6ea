package rehearse

import "context"

// Verify asks the server about everything it acknowledged.
func Verify(ctx context.Context, r *Result) []Finding { return nil }

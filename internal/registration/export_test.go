package registration

// Waiting returns how many submissions of an event wait for a commit.
func (e *Engine) Waiting(slug string) int { return e.lanes.Load().bySlug[slug].queue.Waiting() }

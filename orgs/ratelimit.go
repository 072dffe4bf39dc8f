package orgs

import "github.com/orgkit/orgkit/billing"

// limits are the rate limits that the settings of models ask for.
func (m *ModelSettings) limits() (limits []billing.RateLimit) {
	if m == nil {
		return nil
	}
	return limitsOf(m.RateLimits)
}

// limitsOf are the rate limits that settings ask for by globs of models.
func limitsOf(byModel map[string]RateLimits) (limits []billing.RateLimit) {
	for glob, r := range byModel {
		if r.limited() {
			limits = append(limits, billing.RateLimit{Model: glob, RequestsPerMinute: r.RequestsPerMinute, RequestsPerHour: r.RequestsPerHour,
				RequestsPerDay: r.RequestsPerDay, TokensPerMinute: r.TokensPerMinute, TokensPerHour: r.TokensPerHour, TokensPerDay: r.TokensPerDay,
				InputTokensPerMinute: r.InputTokensPerMinute, InputTokensPerDay: r.InputTokensPerDay, FailOpen: r.FailOpen})
		}
	}
	return limits
}

// limits are the rate limits that the settings of a team ask for, one for each glob.
func (s TeamSettings) limits() []billing.RateLimit {
	limits := s.Models.limits()
	if s.Resources == nil || s.Resources.MaxParallelRequests == nil {
		return limits
	}
	for i := range limits {
		if limits[i].Model == "*" {
			limits[i].MaxParallelRequests = s.Resources.MaxParallelRequests
			return limits
		}
	}
	return append(limits, billing.RateLimit{MaxParallelRequests: s.Resources.MaxParallelRequests, FailOpen: s.Models != nil && s.Models.RateLimits["*"].FailOpen})
}

// Priority is that of the team's calls among those that wait: 1 with a priority queue, else 0.
func (t Team) Priority() int {
	if r := t.Settings.Resources; r != nil && is(r.PriorityQueue) {
		return 1
	}
	return 0
}

// Dedicated says whether the team's calls take no slot of those that the organization shares.
func (t Team) Dedicated() bool {
	r := t.Settings.Resources
	return r != nil && is(r.DedicatedCapacity)
}

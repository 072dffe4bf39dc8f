package litellm

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/orgkit/orgkit/orgs"
)

// The words by which lists of models say all and none.
const (
	allModels = "all-proxy-models"
	noModels  = "no-default-models"
)

// allowedModels are the globs of a list of models: nil is all, an empty list none.
func allowedModels(models []string) []string {
	if len(models) == 0 {
		return nil
	}
	globs := []string{}
	for _, m := range models {
		switch m {
		case allModels:
			globs = append(globs, "*")
		case noModels:
		default:
			globs = append(globs, m)
		}
	}
	return globs
}

// modelsOf is the list of models of settings.
func modelsOf(s *orgs.ModelSettings) []string {
	switch {
	case s == nil || s.Allowed == nil:
		return []string{}
	case len(s.Allowed) == 0:
		return []string{noModels}
	}
	list := slices.Clone(s.Allowed)
	for i, m := range list {
		if m == "*" {
			list[i] = allModels
		}
	}
	return list
}

// editModels brings the lists of models, and their limits that are kept in metadata, into the settings.
func (c *call) editModels(e *edit, models value[[]string], aliases map[string]string, old map[string]raw) error {
	is := orgs.ModelSettings{}
	if e.settings.Models != nil {
		is = *e.settings.Models
	}
	if models.some() {
		is.Allowed = allowedModels(models.v)
	}
	if is.Aliases = aliases; len(aliases) == 0 {
		is.Aliases = nil
	}
	is.RateLimits = maps.Clone(is.RateLimits)
	if is.RateLimits == nil {
		is.RateLimits = map[string]orgs.RateLimits{}
	}
	for _, limit := range []struct {
		name string
		of   func(*orgs.RateLimits) **int64
	}{{"model_rpm_limit", func(r *orgs.RateLimits) **int64 { return &r.RequestsPerMinute }}, {"model_tpm_limit", func(r *orgs.RateLimits) **int64 { return &r.TokensPerMinute }}} {
		before, _ := modelLimits(old[limit.name])
		after, ok := modelLimits(e.metadata[limit.name])
		if !ok {
			c.in.fault("dict_type", "Input should be a valid dictionary of integers that are not negative", limit.name)
			return c.in.err()
		}
		put := func(model string, n *int64) {
			r := is.RateLimits[model]
			r.FailOpen = false
			if *limit.of(&r) = n; r == (orgs.RateLimits{}) {
				delete(is.RateLimits, model)
				return
			}
			r.FailOpen = c.opt.FailOpen
			is.RateLimits[model] = r
		}
		for model := range before {
			put(model, nil)
		}
		for model, n := range after {
			put(model, &n)
		}
	}
	if e.settings.Models = &is; is.Allowed == nil && is.Blocked == nil && is.RequireApproval == nil && is.Aliases == nil && len(is.RateLimits) == 0 &&
		is.PreferredProviders == nil && is.AllowFineTuning == nil && is.AllowEmbeddings == nil {
		e.settings.Models = nil
	}
	return nil
}

func modelLimits(r raw) (map[string]int64, bool) {
	var given map[string]raw
	if len(r) == 0 || isNull(r) {
		return nil, true
	}
	if json.Unmarshal(r, &given) != nil {
		return nil, false
	}
	limits := map[string]int64{}
	for model, is := range given {
		n, ok := whole(is)
		if !ok || n < 0 {
			return nil, false
		}
		limits[model] = n
	}
	return limits, true
}

// settingsOf are the models of a key as those of a team or organization are written.
func settingsOf(m *orgs.KeyModels) *orgs.ModelSettings {
	if m == nil {
		return nil
	}
	return &orgs.ModelSettings{Allowed: m.Allowed}
}

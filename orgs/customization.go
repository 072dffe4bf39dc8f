package orgs

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"unicode/utf8"

	"github.com/orgkit/orgkit/store"
)

// Limits of customizations.
const (
	MaxCustomizationDepth = 16
	maxTheme              = 64   // characters
	maxLogoURL            = 2048 // bytes
)

var colour = regexp.MustCompile(`^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)

// checkCustomizations takes a free object, of which some keys are known: theme, a short text; logo_url, the https URL of a
// picture, which nobody here fetches; and branding_color, as #0047AB or #04A. Null is as good as absent for a known key. Keys that
// are not known stay as they are.
func checkCustomizations(m *json.RawMessage) error {
	const field = "customizations"
	if err := checkObject(field, m); err != nil {
		return err
	}
	var parsed map[string]any
	if err := json.Unmarshal(*m, &parsed); err != nil {
		return store.Invalid(field, "type", "must be an object")
	}
	if depth(parsed) > MaxCustomizationDepth {
		return store.Invalid(field, "range", "must not be nested more than %d deep", MaxCustomizationDepth)
	}
	var wrong []error
	for _, known := range []struct {
		key   string
		check func(string) string
	}{{"branding_color", checkColour}, {"logo_url", checkLogo}, {"theme", checkTheme}} {
		switch v := parsed[known.key].(type) {
		case nil:
		case string:
			if message := known.check(v); message != "" {
				wrong = append(wrong, store.Invalid(field+"."+known.key, "pattern", "%s", message))
			}
		default:
			wrong = append(wrong, store.Invalid(field+"."+known.key, "type", "must be a string"))
		}
	}
	return errors.Join(wrong...)
}

func checkTheme(s string) string {
	if utf8.RuneCountInString(s) > maxTheme {
		return "must have at most 64 characters"
	}
	return ""
}

func checkLogo(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(s) > maxLogoURL {
		return "must be an absolute https URL without user, of at most 2048 bytes"
	}
	return ""
}

func checkColour(s string) string {
	if !colour.MatchString(s) {
		return "must be a colour such as #0047AB or #04A"
	}
	return ""
}

// depth is how deep objects and lists lie in each other; a plain value has none.
func depth(v any) (deepest int) {
	switch v := v.(type) {
	case map[string]any:
		for _, below := range v {
			deepest = max(deepest, depth(below))
		}
	case []any:
		for _, below := range v {
			deepest = max(deepest, depth(below))
		}
	default:
		return 0
	}
	return deepest + 1
}

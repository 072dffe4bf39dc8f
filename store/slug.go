package store

import (
	"regexp"
	"strings"
)

var slugForm = regexp.MustCompile(`^[a-z0-9]+([-_][a-z0-9]+)*$`)

// MaxSlug is the longest slug, in bytes.
const MaxSlug = 63

// SlugKey is the form in which slugs are kept unique and compared: lower case, with - for _. So
// data_science and data-science are one, and a unique set over the key is safe against races.
func SlugKey(slug string) string { return strings.ReplaceAll(strings.ToLower(slug), "_", "-") }

// CheckSlug returns a *[FieldError] on the field unless the slug is well formed: words of lower
// case letters and digits joined by single - or _, at most [MaxSlug] long. Upper case is not an
// error of the caller, it is folded: give it the lower-cased slug.
func CheckSlug(field, slug string) error {
	if len(slug) > MaxSlug || !slugForm.MatchString(slug) {
		return Invalid(field, "pattern", "must be words of a-z and 0-9 joined by - or _, at most %d characters", MaxSlug)
	}
	return nil
}

// SlugFrom makes a slug out of a name: other characters become -, at most [MaxSlug] are kept. It
// is "" when nothing of the name can stay.
func SlugFrom(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			dash = false
			b.WriteRune(r)
		default:
			dash = true
		}
		if b.Len() >= MaxSlug {
			break
		}
	}
	return strings.Trim(b.String()[:min(b.Len(), MaxSlug)], "-")
}

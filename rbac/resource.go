package rbac

import "strings"

// ResourcePattern is a parsed glob over whole resource names, such as model:claude-3-*. It never
// changes and is safe for concurrent use.
type ResourcePattern struct{ glob string }

// maxPattern is the longest resource pattern, in bytes.
const maxPattern = 500

// ParseResource reads a pattern: * matches any run of characters, / and : included; everything
// else is literal and case-sensitive. Only an empty or overlong text is refused.
func ParseResource(s string) (ResourcePattern, error) {
	if s == "" || len(s) > maxPattern {
		return ResourcePattern{}, ErrPattern
	}
	return ResourcePattern{s}, nil
}

// String is the pattern as written.
func (p ResourcePattern) String() string { return p.glob }

// Match says whether the pattern matches the whole resource. Its time is bounded by the product of
// both lengths, whatever the pattern.
func (p ResourcePattern) Match(resource string) bool {
	glob, at := p.glob, 0
	star, mark := -1, 0 // the last * and how much it has taken so far
	i := 0
	for at < len(resource) {
		switch {
		case i < len(glob) && glob[i] == '*':
			star, mark = i, at
			i++
		case i < len(glob) && glob[i] == resource[at]:
			i++
			at++
		case star >= 0: // let the last * take one more
			mark++
			i, at = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(glob[i:], "*") == ""
}

// Contains says whether p matches all that q matches. Where it says no, p may still do so.
func (p ResourcePattern) Contains(q ResourcePattern) bool {
	return p.Match(q.glob) // a * of q is a character that only a * of p takes
}

// ModelPattern is the resource of a model, or the pattern of models for a glob of ids.
func ModelPattern(model string) string { return "model:" + model }

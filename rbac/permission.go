package rbac

import (
	"errors"
	"strings"
)

// ErrPattern: a text is no action, permission or resource pattern. The text is not repeated.
var ErrPattern = errors.New("malformed pattern")

// ParseAction brings a concrete action into its canonical form: segments joined by dots. A colon
// is a dot, and a final list is read (F326). Wildcards and scopes are refused.
func ParseAction(s string) (string, error) {
	p, err := ParsePermission(s)
	if err != nil || p.own || strings.Contains(p.pattern, "*") {
		return "", ErrPattern
	}
	return p.pattern, nil
}

// JoinAction reads an action, or a bare verb that joins the plural type of the resource: use on
// model:x is models.use (F326).
func JoinAction(action, resource string) (string, error) {
	if strings.ContainsAny(action, ".:") {
		return ParseAction(action)
	}
	typ, _, ok := strings.Cut(resource, ":")
	if !ok {
		return "", ErrPattern
	}
	return ParseAction(plural(typ) + "." + action)
}

func plural(noun string) string {
	switch stem, y := strings.CutSuffix(noun, "y"); {
	case noun == "usage" || noun == "billing" || noun == "audit" || strings.HasSuffix(noun, "s"):
		return noun
	case y && stem != "" && !strings.ContainsAny(stem[len(stem)-1:], "aeiou"):
		return stem + "ies"
	}
	return noun + "s"
}

// Permission is a parsed grant, such as teams.read, billing.*, *.read or usage.read:own. It is
// comparable and safe for concurrent use.
type Permission struct {
	pattern string // canonical, without the scope
	own     bool
}

// ParsePermission reads a grant: segments of a-z, 0-9, _ and - joined by dots (or colons). A *
// stands for one whole segment, as the last one for one or more, alone for everything. A final
// :own limits the grant to what belongs to its holder.
func ParsePermission(s string) (Permission, error) {
	var p Permission
	s, p.own = strings.CutSuffix(s, ":own")
	segments := strings.Split(strings.ReplaceAll(s, ":", "."), ".")
	if len(s) > 200 {
		return Permission{}, ErrPattern
	}
	for i, seg := range segments {
		if seg != "*" && !isSegment(seg) {
			return Permission{}, ErrPattern
		}
		if i > 0 && i == len(segments)-1 && seg == "list" {
			segments[i] = "read"
		}
	}
	p.pattern = strings.Join(segments, ".")
	return p, nil
}

// isSegment says whether a segment is of lower case letters, digits, _ and -.
func isSegment(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

// String is the canonical form.
func (p Permission) String() string {
	if p.own {
		return p.pattern + ":own"
	}
	return p.pattern
}

// Own says whether the grant is limited to what belongs to its holder.
func (p Permission) Own() bool { return p.own }

// Covers says whether the grant names the action (canonical), its scope aside.
func (p Permission) Covers(action string) bool { return covers(p.pattern, action) }

// covers compares segment by segment. Where action is itself a pattern, its * is a segment that
// only a * covers.
func covers(pattern, action string) bool {
	for {
		seg, rest, more := strings.Cut(pattern, ".")
		aseg, arest, amore := strings.Cut(action, ".")
		switch {
		case seg == "*" && !more:
			return true // one or more remaining segments
		case seg != "*" && seg != aseg:
			return false
		case !more || !amore:
			return more == amore
		}
		pattern, action = rest, arest
	}
}

// Contains says whether p grants all that q grants.
func (p Permission) Contains(q Permission) bool {
	if p.own && !q.own {
		return false
	}
	if p.pattern == q.pattern {
		return true
	}
	// A final * of q stands for any number of segments; only a final * of p, no later, covers it.
	if strings.HasSuffix(q.pattern, "*") && !strings.HasSuffix(p.pattern, "*") {
		return false
	}
	return covers(p.pattern, q.pattern)
}

// Overlaps says whether some action is named by both, their scopes aside.
func (p Permission) Overlaps(q Permission) bool { return overlap(p.pattern, q.pattern) }

func overlap(a, b string) bool {
	for {
		as, arest, amore := strings.Cut(a, ".")
		bs, brest, bmore := strings.Cut(b, ".")
		if as == "*" && !amore || bs == "*" && !bmore {
			return true
		}
		if as != bs && as != "*" && bs != "*" {
			return false
		}
		if !amore || !bmore {
			return amore == bmore
		}
		a, b = arest, brest
	}
}

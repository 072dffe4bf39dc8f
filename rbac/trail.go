package rbac

import (
	"slices"
	"strconv"
	"strings"

	"github.com/orgkit/orgkit/store"
)

// A trail says what the last revisions of an organization changed, so that whoever keeps its rules in memory
// reads those records again and no others. It is a column of the scope, which every change writes anyway:
//
//	12 a:usr_1,r:role_2;13;14 *
//
// Revision 13 changed no record that decisions are made of, 14 more than is worth naming.

// touch is one thing to be read again: the records of a kind with a value in its traced column.
type touch struct {
	kind  byte
	value string
}

// The kinds that decisions are made of.
const (
	touchedAssignments = 'a' // of a subject
	touchedRole        = 'r'
	touchedOverride    = 'o'
	touchedPolicy      = 'p'
	touchedRestriction = 't'
	touchedApproval    = 'v'
)

func kindOf(k *store.Kind) (kind byte, ok bool) {
	switch k {
	case Assignments.Kind():
		return touchedAssignments, true
	case roles.Kind():
		return touchedRole, true
	case overrides.Kind():
		return touchedOverride, true
	case policies.Kind():
		return touchedPolicy, true
	case Restrictions.Kind():
		return touchedRestriction, true
	case approvals.Kind():
		return touchedApproval, true
	}
	return 0, false
}

const (
	maxTouches = 20   // of one revision
	maxTrail   = 1500 // bytes
)

// extend adds a revision to a trail, and drops the oldest ones beyond its length.
func extend(trail string, revision int64, traces []store.Trace) string {
	var touched []string
	odd := false // a value that a trail cannot hold
	for _, t := range traces {
		if kind, ok := kindOf(t.Kind); ok {
			touched = append(touched, string(kind)+":"+t.Value)
			odd = odd || t.Value == "" || strings.ContainsAny(t.Value, "; ,*")
		}
	}
	slices.Sort(touched)
	touched = slices.Compact(touched)
	entry := strconv.FormatInt(revision, 10)
	switch list := strings.Join(touched, ","); {
	case len(touched) > maxTouches || len(list) > maxTrail/2 || odd:
		entry += " *"
	case len(touched) > 0:
		entry += " " + list
	}
	if trail != "" {
		entry = trail + ";" + entry
	}
	for len(entry) > maxTrail {
		_, rest, more := strings.Cut(entry, ";")
		if !more {
			break
		}
		entry = rest
	}
	return entry
}

// since returns what was changed behind a revision up to the newest one, ok if the trail says all of it.
func since(trail string, from, to int64) (touched []touch, ok bool) {
	if from >= to {
		return nil, from == to
	}
	next := from + 1
	for entry := range strings.SplitSeq(trail, ";") {
		number, list, some := strings.Cut(entry, " ")
		revision, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil || list == "*" && revision > from:
			return nil, false
		case revision <= from:
			continue
		case revision != next:
			return nil, false
		}
		next++
		if !some {
			continue
		}
		for part := range strings.SplitSeq(list, ",") {
			if len(part) < 3 || part[1] != ':' {
				return nil, false
			}
			if t := (touch{part[0], part[2:]}); !slices.Contains(touched, t) {
				touched = append(touched, t)
			}
		}
	}
	return touched, next == to+1
}

package rbac

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// written are terms as texts, to be compared.
type written struct {
	access       access
	when, unless []string // sorted
}

func (w written) equal(o written) bool {
	return w.access == o.access && slices.Equal(w.when, o.when) && slices.Equal(w.unless, o.unless)
}

func (w written) String() string {
	return fmt.Sprint(w.access, strings.Join(w.when, "\x01"), "\x02", strings.Join(w.unless, "\x01"))
}

// within says whether whatever passes by the terms passes by the others as well, as far as can be told without
// looking into conditions.
func (w written) within(o written) bool {
	if w.access != accessConditional || o.access != accessConditional {
		return w.access <= o.access
	}
	has := func(list []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(list, s) }
	}
	return !slices.ContainsFunc(o.unless, has(w.unless)) && (slices.Contains(o.when, always) || !slices.ContainsFunc(w.when, has(o.when)))
}

// always is the term of an allow without conditions.
const always = "always"

// terms are the answer of a bound to a question.
func (d *difference) terms(v *view, b *bound, q *question, place string) (Terms, written, error) {
	if b == nil {
		return Terms{Verdict: VerdictDeny}, written{}, nil
	}
	rs, alone := b.by(v.guard, q.action)
	c := rs.find(q)
	if c.failed != nil {
		return Terms{}, written{}, c.failed
	}
	own := Unknown
	if place != "" {
		own = truth(b.isIn(place))
	}
	t, w := d.cell(c, own)
	if alone || w.access == accessNever {
		return t, w, nil
	}
	if b.key.orphan {
		return Terms{Verdict: VerdictDeny}, written{}, nil
	}
	for _, p := range b.key.persons { // each of them has to be allowed as well
		pt, pw, err := d.terms(v, p, q, place)
		switch {
		case err != nil || pw.access == accessNever:
			return pt, pw, err
		case pw.access == accessAlways:
		case w.access == accessAlways:
			t, w = pt, pw
		default: // all of it has to hold: as one term, which is told apart and not looked into
			w = written{accessConditional, []string{w.String() + "\x03" + pw.String()}, nil}
			t.Unless = append(slices.Clip(t.Unless), pt.Unless...)
		}
	}
	return t, w, nil
}

// cell are the terms of a cell; own says whether what is asked about is one's own, Unknown for either.
func (d *difference) cell(c *cell, own Truth) (Terms, written) {
	never := func() (Terms, written) { return Terms{Verdict: VerdictDeny}, written{} }
	if c.settled {
		if !c.allows {
			return never()
		}
		return Terms{Verdict: VerdictAllow}, written{access: accessAlways}
	}
	t, w, free := Terms{Verdict: VerdictConditional}, written{access: accessConditional}, false
	for i, a := range c.all {
		if a.own && own != Unknown {
			if a.own = false; own == False {
				continue
			}
		}
		switch deny := i < int(c.denies); {
		case deny && !a.live():
			return never()
		case deny:
			t.Unless, w.unless = append(t.Unless, Term{a.own, a.rule.asked()}), append(w.unless, d.text(a))
		case !a.live():
			free = true
		default:
			t.When, w.when = append(t.When, Term{a.own, a.rule.asked()}), append(w.when, d.text(a))
		}
	}
	switch {
	case free && len(t.Unless) == 0:
		return Terms{Verdict: VerdictAllow}, written{access: accessAlways}
	case free:
		t.When, w.when = nil, []string{always}
	case len(t.When) == 0:
		return never()
	}
	slices.Sort(w.when)
	slices.Sort(w.unless)
	w.when, w.unless = slices.Compact(w.when), slices.Compact(w.unless)
	return t, w
}

// text writes the conditions of an alternative so that those that mean the same are written alike.
func (d *difference) text(a alternative) string {
	text, known := d.texts[a.rule]
	if !known {
		b, err := json.Marshal(a.rule.asked())
		if text = string(b); err != nil {
			text = fmt.Sprintf("%p", a.rule) // like nothing else
		}
		if t := a.rule.tests; t != nil && t.time != nil {
			text += t.time.text // with the time zone that is meant
		}
		d.texts[a.rule] = text
	}
	if a.own {
		text += " own"
	}
	return text
}

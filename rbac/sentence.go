package rbac

import (
	"maps"
	"slices"
	"strings"
)

// way is what would make a condition come out differently: what somebody has to do, and how the call then
// reads, after the word allowed. The zero way is none.
type way struct{ step, phrase string }

// sentence says in one sentence what would make a call pass.
type sentence struct {
	ways [][]part // alternatives with all their conditions; any one will do. None: no condition is in the way
	outs []out    // denies; each must not hold
}

// out is a deny: it does not hold once any of its conditions does not.
type out struct {
	parts []part
	holds bool
}

// maxWays is how many alternatives one sentence has room for.
const maxWays = 3

// way adds an alternative.
func (s *sentence) way(parts []part) { s.ways = append(s.ways, parts) }

// out adds a deny.
func (s *sentence) out(parts []part, holds bool) { s.outs = append(s.outs, out{parts, holds}) }

// open says whether somebody has to do something about the condition of an alternative.
func (p *part) open() bool { return p.truth != True }

// inputs are those that somebody who does what the sentence says changes.
func (s *sentence) inputs() map[string]bool {
	touched := map[string]bool{}
	for _, o := range s.outs {
		for _, p := range o.parts {
			if o.holds {
				touched[p.input] = true
			}
		}
	}
	return touched
}

// String is "" where nothing helps.
func (s *sentence) String() string {
	leaving := s.inputs() // what is changed to get out of the denies
	touched := maps.Clone(leaving)
	for _, w := range s.ways {
		for _, p := range w {
			if p.open() {
				touched[p.input] = true
			}
		}
	}
	var outs []out
	for _, o := range s.outs {
		if o.holds || o.threatens(touched) {
			outs = append(outs, o)
		}
	}
	var always []string
	for _, o := range outs {
		one, ok := o.phrase()
		if !ok {
			return ""
		}
		if !slices.Contains(always, one) {
			always = append(always, one)
		}
	}
	ways := s.possible(leaving, outs)
	if len(s.ways) > 0 && len(ways) == 0 {
		return ""
	}
	return compose(ways, always)
}

// threatens says whether a deny that does not hold may do so once some inputs are others.
func (o out) threatens(touched map[string]bool) bool {
	return !slices.ContainsFunc(o.parts, func(p part) bool { return p.truth == False && !touched[p.input] })
}

// phrase says how to stay out of the deny; not ok where there is no way.
func (o out) phrase() (string, bool) {
	var phrases []string
	for _, p := range o.parts {
		if p.undo.phrase != "" && (!o.holds || p.truth != False) {
			phrases = append(phrases, p.undo.phrase)
		}
	}
	return enumerate(phrases, "or"), len(phrases) > 0
}

// possible are the alternatives that can be had beside the denies, each by what has to be said of it: what is open
// of it, and what holds now and would not any more where the denies are left behind.
func (s *sentence) possible(leaving map[string]bool, outs []out) (ways [][]string) {
	for _, parts := range s.ways {
		var phrases []string
		said := map[string]bool{} // what is contrary to what is said
		possible := true
		for _, p := range parts {
			if !p.open() && !leaving[p.input] {
				continue
			}
			if p.fix.phrase == "" && p.open() {
				possible = false
				break
			}
			if p.fix.phrase != "" {
				phrases, said[p.undo.phrase] = append(phrases, p.fix.phrase), p.undo.phrase != ""
			}
		}
		contrary := slices.ContainsFunc(outs, func(o out) bool {
			return !slices.ContainsFunc(o.parts, func(p part) bool { return p.undo.phrase != "" && !said[p.undo.phrase] })
		})
		if possible && !contrary && !slices.ContainsFunc(ways, func(w []string) bool { return slices.Equal(w, phrases) }) {
			ways = append(ways, phrases)
		}
	}
	if slices.ContainsFunc(ways, func(w []string) bool { return len(w) == 0 }) { // one needs nothing
		return [][]string{nil}
	}
	return ways
}

// compose puts alternatives and what is wanted in any case together.
func compose(ways [][]string, always []string) string {
	if len(ways) < 2 {
		all := slices.Concat(slices.Concat(ways...), always)
		if all = slices.DeleteFunc(all, repeats()); len(all) == 0 {
			return ""
		}
		return "allowed " + enumerate(all, "and")
	}
	var texts []string
	for _, w := range ways[:min(len(ways), maxWays)] {
		texts = append(texts, enumerate(w, "and"))
	}
	text := "allowed " + strings.Join(texts, ", or ")
	if len(ways) > maxWays {
		text += ", or in other ways"
	}
	if len(always) > 0 {
		text += "; in any case " + enumerate(always, "and")
	}
	return text
}

// repeats says, of one after the other, whether it was there before.
func repeats() func(string) bool {
	seen := map[string]bool{}
	return func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	}
}

// enumerate writes a list as one does in a sentence: a, b and c.
func enumerate(list []string, last string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " " + last + " " + list[len(list)-1]
}

// Sentence says in one sentence why the answer is what it is, and what would make a call pass that does not.
func (d *Decision) Sentence() string {
	text := "refused"
	switch {
	case len(d.Reasons) > 0:
		text = d.Reasons[0].Text
	case d.MissingPermission != "":
		text = "needs " + d.MissingPermission
	}
	if d.Would != "" {
		text += "; " + d.Would
	}
	return text
}

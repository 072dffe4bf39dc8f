package rbac

import (
	"slices"
	"strings"
)

// way is what would make a condition come out differently: what somebody has to do, and how the call then
// reads, after the word allowed. The zero way is none.
type way struct{ step, phrase string }

// sentence says in one sentence what would make a call pass.
type sentence struct {
	ways   [][]string // any one will do, with all that it lists
	always []string   // and each of these
	never  bool       // whatever the call is like
}

// maxWays is how many alternatives one sentence has room for.
const maxWays = 3

// way adds an alternative by what is open of it.
func (s *sentence) way(open []part) {
	phrases := make([]string, len(open))
	for i, p := range open {
		if phrases[i] = p.fix.phrase; phrases[i] == "" {
			return
		}
	}
	if !slices.ContainsFunc(s.ways, func(w []string) bool { return slices.Equal(w, phrases) }) {
		s.ways = append(s.ways, phrases)
	}
}

// out adds what leads out of a deny: any of its conditions has to come out differently.
func (s *sentence) out(parts []part) {
	var phrases []string
	for _, p := range parts {
		if p.truth != False && p.undo.phrase != "" {
			phrases = append(phrases, p.undo.phrase)
		}
	}
	if len(phrases) == 0 {
		s.never = true
		return
	}
	if one := enumerate(phrases, "or"); !slices.Contains(s.always, one) {
		s.always = append(s.always, one)
	}
}

func (s *sentence) String() string {
	switch {
	case s.never || len(s.ways)+len(s.always) == 0:
		return ""
	case len(s.ways) < 2:
		all := slices.Concat(slices.Concat(s.ways...), s.always)
		return "allowed " + enumerate(slices.DeleteFunc(all, repeats()), "and")
	}
	var ways []string
	for _, w := range s.ways[:min(len(s.ways), maxWays)] {
		ways = append(ways, enumerate(w, "and"))
	}
	text := "allowed " + strings.Join(ways, ", or ")
	if len(s.ways) > maxWays {
		text += ", or in other ways"
	}
	if len(s.always) > 0 {
		text += "; in any case " + enumerate(s.always, "and")
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

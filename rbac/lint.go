package rbac

import (
	"slices"
	"strings"
)

// Knowledge is what a lint holds statements against.
type Knowledge struct {
	Vocabulary    *Vocabulary
	AnomalySource bool // the host has a detector
}

// Warning is something that was accepted and may surprise.
type Warning struct {
	Code    string `json:"code"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Lint warns of statements that cannot do what they look like.
func Lint(statements []Statement, known Knowledge) []Warning {
	var warnings []Warning
	for i, st := range statements {
		at := indexed("statements", i)
		if st.Conditions.AnomalyScore != nil && !known.AnomalySource {
			warnings = append(warnings, Warning{"no_anomaly_source", at + ".conditions.anomaly_score",
				"no anomaly source is registered: every score is 0"})
		}
		for j, a := range st.Actions {
			p, err := ParsePermission(a)
			if err == nil && !slices.ContainsFunc(known.Vocabulary.Actions(), p.Covers) {
				warnings = append(warnings, Warning{"unknown_action", indexed(at+".actions", j), "no registered action matches"})
			}
		}
		for j, r := range st.Resources {
			name, ok := strings.CutPrefix(r, "model:")
			if ok && name != "" && name[0] != '*' && strings.Contains(name, "*") && !strings.Contains(name, "/") {
				warnings = append(warnings, Warning{"bare_model_glob", indexed(at+".resources", j),
					"matches bare model ids only, not ids with a provider in front"})
			}
		}
	}
	return warnings
}

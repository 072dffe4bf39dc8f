package rbac_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/rbac"
)

// lint returns what is warned of, as "code field".
func lint(t *testing.T, known rbac.Knowledge, statements ...string) []string {
	t.Helper()
	var list []rbac.Statement
	require.NoError(t, json.Unmarshal([]byte("["+strings.Join(statements, ",")+"]"), &list))
	got := []string{}
	for i, st := range list {
		require.NoError(t, st.Validate("statements"), i)
	}
	for _, w := range rbac.Lint(list, known) {
		require.NotEmpty(t, w.Message)
		got = append(got, w.Code+" "+w.Field)
	}
	return got
}

func TestLintWarnsOfWhatDoesNotDoWhatItLooksLike(t *testing.T) {
	vocabulary, err := rbac.NewVocabulary("deployments.manage")
	require.NoError(t, err)
	known := rbac.Knowledge{Vocabulary: vocabulary, AnomalySource: true, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Approves: func(who string) bool { return who == "org_admin" || who == "user:usr_1" }}
	const (
		fine   = `{"effect": "allow", "actions": ["models:use", "deployments.manage"], "resources": ["model:gpt-4o"]}`
		office = `{"effect": "allow", "actions": ["models:use"], "resources": ["model:gpt-4o"], "conditions": {"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}}`
	)
	for name, c := range map[string]struct {
		statements []string
		want       []string
	}{
		"nothing": {[]string{fine}, nil},
		"an action that nobody registered": {[]string{`{"effect": "allow", "actions": ["model.use", "*.use"], "resources": ["model:gpt-4o"]}`},
			[]string{"unknown_action statements[0].actions[0]"}},
		"a model without its type": {[]string{`{"effect": "allow", "actions": ["models.use"], "resources": ["gpt-4o"]}`},
			[]string{"untyped_resource statements[0].resources[0]"}},
		"a glob of bare names": {[]string{`{"effect": "deny", "actions": ["models.use"], "resources": ["model:claude-3-*", "model:*/claude-3-*", "model:a/b*"]}`},
			[]string{"bare_model_glob statements[0].resources[0]"}},
		"everything": {[]string{`{"effect": "allow", "actions": ["*"], "resources": ["*"]}`}, []string{"broad statements[0]"}},
		"a condition that another statement does away with": {[]string{office, `{"effect": "allow", "actions": ["models.*"], "resources": ["model:*"]}`},
			[]string{"shadowed statements[0]"}},
		"the same twice":                  {[]string{fine, fine}, []string{"shadowed statements[1]"}},
		"different conditions are no two": {[]string{office, office}, nil},
		"an allow under a deny":           {[]string{`{"effect": "deny", "actions": ["models.*"], "resources": ["model:gpt-*"]}`, office}, []string{"bare_model_glob statements[0].resources[0]", "never_allows statements[1]"}},
		"a deny beside it is none":        {[]string{`{"effect": "deny", "actions": ["models.use"], "resources": ["model:gpt-4"]}`, office}, nil},
		"scores that are none": {[]string{`{"effect": "deny", "actions": ["models.use"], "resources": ["model:x"], "conditions": {"anomaly_score": {"type": "greater_than", "value": 1}}}`},
			[]string{"never_holds statements[0].conditions.anomaly_score"}},
		"no address left": {[]string{`{"effect": "allow", "actions": ["models.use"], "resources": ["model:x"], "conditions": {"ip_address": {"type": "ip_not_in_range", "value": ["0.0.0.0/0", "::/0"]}}}`},
			[]string{"never_holds statements[0].conditions.ip_address"}},
		"a time that has passed": {[]string{`{"effect": "allow", "actions": ["models.use"], "resources": ["model:x"], "conditions": {"time": {"type": "time_between", "start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}}}`},
			[]string{"never_holds statements[0].conditions.time"}},
		"approvers who cannot": {[]string{`{"effect": "allow", "actions": ["models.use"], "resources": ["model:x"], "conditions": {"approval": {"type": "required", "approvers": ["team_lead", "org_admin", "user:usr_1"]}}}`},
			[]string{"approver statements[0].conditions.approval.approvers[0]"}},
		"one of the usual approvers is enough": {[]string{`{"effect": "allow", "actions": ["models.use"], "resources": ["model:x"], "conditions": {"approval": {"type": "required"}}}`}, nil},
	} {
		require.ElementsMatch(t, c.want, lint(t, known, c.statements...), name)
	}
	require.Equal(t, []string{"no_anomaly_source statements[0].conditions.anomaly_score"}, lint(t, rbac.Knowledge{Vocabulary: vocabulary},
		`{"effect": "deny", "actions": ["models.use"], "resources": ["model:x"], "conditions": {"anomaly_score": {"type": "greater_than", "value": 0.8}}}`))
}

// What a pattern is said to contain it matches.
func TestPatternsContainWhatTheyMatch(t *testing.T) {
	piece := rapid.StringOfN(rapid.RuneFrom([]rune("ab*")), 1, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		p, err := rbac.ParseResource(piece.Draw(t, "p"))
		require.NoError(t, err)
		q, err := rbac.ParseResource(piece.Draw(t, "q"))
		require.NoError(t, err)
		name := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 6, -1).Draw(t, "name")
		if p.Contains(q) && q.Match(name) {
			require.True(t, p.Match(name))
		}
	})
}

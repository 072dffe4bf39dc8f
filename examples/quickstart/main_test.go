package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/storetest"
)

func TestQuickstartRunsOnEveryStore(t *testing.T) {
	for name, db := range map[string]func() string{
		"memory":   func() string { return "memory:" },
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "q.db") },
		"postgres": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dsn := ""
			if db != nil {
				dsn = db()
			} else {
				dsn = storetest.Postgres(t)
			}
			var out bytes.Buffer
			require.NoError(t, run(t.Context(), &out, dsn, false))
			text := out.String()
			for _, line := range []string{
				`engineering, gpt-4-turbo-preview +30 +admitted`,
				`engineering, dall-e-3 +30 +model_not_allowed`,
				`engineering, gpt-4-32k +30 +approval_required`,
				`gpt-4-turbo-preview from 10.0.2.7 +30 +ip_denied`,
				`gpt-4-turbo-preview at 20:00 +30 +policy_denied`,
				`marketing, dall-e-3 .* 6 +admitted`,             // 0.25 USD pay for 6 pictures of 0.04
				`marketing, dall-e-3 .* [0-9]+ +budget_exceeded`, // or the hour's limit, by those that are under way
				`without project tag +30 +missing_tags`,
				`approved by Dave`,
				`approval.approved`,
			} {
				require.Regexp(t, line, text)
			}
		})
	}
}

func TestQuickstartRefusesAnUnknownStore(t *testing.T) {
	require.Error(t, run(t.Context(), &bytes.Buffer{}, "mysql://x", false))
}

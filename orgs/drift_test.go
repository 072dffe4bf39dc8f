package orgs_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestSQLiteSchemaFitsTheRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drift.db")
	s, err := sqlite.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	drift, err := sqlite.Drift(t.Context(), path, orgs.Kinds()...)
	require.NoError(t, err)
	require.Empty(t, drift)
}

func TestPostgresSchemaFitsTheRecords(t *testing.T) {
	dsn := storetest.Postgres(t)
	s, err := postgres.Open(t.Context(), dsn, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	drift, err := postgres.Drift(t.Context(), dsn, orgs.Kinds()...)
	require.NoError(t, err)
	require.Empty(t, drift)
}

func TestDriftNamesWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drift.db")
	s, err := sqlite.Open(t.Context(), path, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	drift, err := sqlite.Drift(t.Context(), path, storetest.Kinds()...)
	require.NoError(t, err)
	require.Equal(t, []string{"table storetest_parcels is missing", "table storetest_tallies is missing", "table storetest_ticks is missing", "table storetest_widgets is missing"}, drift)
}

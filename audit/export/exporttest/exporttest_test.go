package exporttest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit/export/exporttest"
)

func TestTheStoreWantsToKnowWhoAsks(t *testing.T) {
	s := exporttest.S3(t, "us-east-1")
	dir := s.Bucket(t, "bucket")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "object"), nil, 0o600))
	res, err := http.Get(s.Endpoint + "/bucket/object")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The export of a log of which a checkpoint was kept elsewhere is gone.
func TestAKeptCheckpointOfALogThatIsGone(t *testing.T) {
	dir := t.TempDir()
	key, kept := exported(t, dir)
	text, err := os.ReadFile(kept)
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	org := strings.TrimPrefix(line, "orgkit/")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, org)))
	var out bytes.Buffer
	code := run([]string{"-key", key, "-checkpoint", kept, dir}, &out, &out)
	require.NotEqual(t, intact, code, "kept of %s:\n%s", org, out.String())
}

// Beside the genuine NAME.jsonl.gz lies another NAME.jsonl, and that is the file that is asked about.
func TestTheFileThatIsAskedAboutIsRead(t *testing.T) {
	dir := t.TempDir()
	key, _ := exported(t, dir)
	packed, err := filepath.Glob(filepath.Join(dir, "org_1", "*.jsonl.gz"))
	require.NoError(t, err)
	forged := strings.TrimSuffix(packed[0], ".gz")
	require.NoError(t, os.WriteFile(forged, []byte("{\"nothing\":\"happened\"}\n"), 0o600))
	var out bytes.Buffer
	code := run([]string{"-key", key, forged}, &out, &out)
	require.NotEqual(t, intact, code, out.String())
}

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
)

// exported writes the logs of two organizations into a directory, in several files, and returns the public key and a
// checkpoint.
func exported(t *testing.T, dir string) (key, checkpoint string) {
	signer, verifier, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	k, err := note.NewSigner(signer)
	require.NoError(t, err)
	s := memory.New(nil)
	l := audit.New(s, &audit.Options{Signers: []note.Signer{k}, NoBackground: true})
	ctx := audit.WithActor(t.Context(), audit.System("test"))
	for _, org := range []string{"org_1", "org_2"} {
		for at := int64(0); at < 30; {
			require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
				for range 10 {
					if _, err := l.Append(ctx, tx, org, "x.do", audit.Change{Type: "x.done", Reason: "a <reason>"}); err != nil {
						return err
					}
				}
				return nil
			}))
			var lines bytes.Buffer
			m, err := l.Export(ctx, &lines, org, at, 0)
			require.NoError(t, err)
			name := filepath.Join(dir, org, fmt.Sprintf("%d-%d", m.First, m.Size))
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
			b, err := json.Marshal(m)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(name+".proof.json", b, 0o600))
			if at == 0 {
				require.NoError(t, os.WriteFile(name+".jsonl", lines.Bytes(), 0o600))
			} else {
				var packed bytes.Buffer
				z := gzip.NewWriter(&packed)
				z.Write(lines.Bytes())
				require.NoError(t, z.Close())
				require.NoError(t, os.WriteFile(name+".jsonl.gz", packed.Bytes(), 0o600))
			}
			at = m.Size
		}
	}
	c, err := l.Checkpoint(ctx, "org_1")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "checkpoint")
	require.NoError(t, os.WriteFile(file, []byte(c.Note), 0o600))
	return verifier, file
}

func TestVerdicts(t *testing.T) {
	dir := t.TempDir()
	key, checkpoint := exported(t, dir)
	verify := func(args ...string) (int, string) {
		var out, problems bytes.Buffer
		code := run(args, &out, &problems)
		return code, out.String() + problems.String()
	}
	code, text := verify("-key", key, "-checkpoint", checkpoint, dir)
	require.Equal(t, intact, code, text)
	require.Regexp(t, `^orgkit/org_1: ok: events 0 to 29, as signed at \S+\norgkit/org_2: ok: events 0 to 29, as signed at \S+\n$`, text)
	code, text = verify("-key", key, filepath.Join(dir, "org_1", "10-20.jsonl.gz"))
	require.Equal(t, intact, code, text)
	require.Contains(t, text, "ok: events 10 to 19")

	_, other, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	for _, args := range [][]string{{dir}, {"-key", "nonsense", dir}, {"-key", other, dir}, {"-key", key}, {"-key", key, t.TempDir()}, {"-key", key, filepath.Join(dir, "nothing")},
		{"-key", key, "-checkpoint", checkpoint, filepath.Join(dir, "org_1", "0-10.jsonl")}, {"-key", other, "-checkpoint", checkpoint, dir}, {"-nonsense"}} {
		code, text := verify(args...)
		require.Equal(t, unchecked, code, "%v: %s", args, text)
		require.NotContains(t, text, ": ok", args)
	}

	first := filepath.Join(dir, "org_1", "0-10.jsonl")
	was, err := os.ReadFile(first)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(first, bytes.Replace(was, []byte("x.done"), []byte("y.done"), 1), 0o600))
	code, text = verify("-key", key, dir)
	require.Equal(t, tampered, code)
	require.Contains(t, text, "orgkit/org_1: tampered at seq 0: ")
	require.Contains(t, text, "orgkit/org_2: ok")
	require.NoError(t, os.WriteFile(first, was, 0o600))

	// Whatever file is missing or cut, nothing is green.
	var names []string
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "org_1"), func(name string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			names = append(names, name)
		}
		return err
	}))
	for _, name := range names {
		was, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, is := range [][]byte{nil, was[:len(was)/2], append([]byte("x"), was...)} {
			require.NoError(t, os.RemoveAll(name))
			if is != nil {
				require.NoError(t, os.WriteFile(name, is, 0o600))
			}
			code, text := verify("-key", key, "-checkpoint", checkpoint, filepath.Join(dir, "org_1"))
			require.NotEqual(t, intact, code, "%s: %s", name, text)
			require.NotContains(t, strings.ToLower(text), ": ok")
		}
		require.NoError(t, os.WriteFile(name, was, 0o600))
	}
}

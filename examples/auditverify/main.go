// Command auditverify checks exported audit logs, without a database and without a network.
//
//	go run ./examples/auditverify -key KEY FILE|DIR
//
// FILE is an export, NAME.jsonl or NAME.jsonl.gz, with NAME.proof.json beside it. DIR holds any number of them, below
// it at any depth, of any number of organizations, such as a bucket that was downloaded. KEY is the public key of who
// signs, as GET .../audit/checkpoint shows it, best from somewhere else; -checkpoint is a file with a checkpoint that
// was kept elsewhere. Both may come several times.
//
// It says one line per log: "ok", "tampered at seq N" or "cannot check", and ends with 0 where all are ok, with 1 where
// one was tampered with and with 2 where one cannot be checked.
package main

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit codes.
const (
	intact    = 0
	tampered  = 1
	unchecked = 2
)

type texts []string

func (t *texts) String() string     { return strings.Join(*t, ",") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

func run(args []string, out, problems io.Writer) int {
	var keys, files texts
	flags := flag.NewFlagSet("auditverify", flag.ContinueOnError)
	flags.SetOutput(problems)
	flags.Var(&keys, "key", "public `key` of who signs")
	flags.Var(&files, "checkpoint", "`file` with a checkpoint that was kept elsewhere")
	if err := flags.Parse(args); err != nil {
		return unchecked
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(problems, "usage: auditverify -key KEY [-checkpoint FILE] FILE|DIR")
		return unchecked
	}
	verifiers, kept, err := trusted(keys, files)
	if err != nil {
		fmt.Fprintln(out, "cannot check:", err)
		return unchecked
	}
	logs, err := find(flags.Arg(0))
	if err == nil && len(logs) == 0 {
		err = fmt.Errorf("no export is there")
	}
	if err != nil {
		fmt.Fprintln(out, "cannot check:", err)
		return unchecked
	}
	for _, c := range kept {
		if logs[c.Origin] == nil {
			fmt.Fprintf(out, "cannot check: no export is of %s, of which there is a checkpoint\n", c.Origin)
			return unchecked
		}
	}
	code := intact
	for _, origin := range slices.Sorted(maps.Keys(logs)) {
		report := check(logs[origin], verifiers, kept)
		fmt.Fprintf(out, "%s: %v\n", origin, report)
		switch {
		case report.Verdict == audit.Tampered:
			code = tampered
		case report.Verdict != audit.Intact && code == intact:
			code = unchecked
		}
	}
	return code
}

// trusted are the keys, and the checkpoints that one of them has signed.
func trusted(keys, files []string) (note.Verifiers, []audit.Checkpoint, error) {
	if len(keys) == 0 {
		return nil, nil, fmt.Errorf("no key is given")
	}
	verifiers, err := audit.Verifiers(keys...)
	if err != nil {
		return nil, nil, err
	}
	var kept []audit.Checkpoint
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		c, err := audit.ReadCheckpoint(string(text), verifiers)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		kept = append(kept, c)
	}
	return verifiers, kept, nil
}

// export is a manifest and where its lines are.
type export struct {
	audit.Manifest
	lines string
}

const proofEnd = ".proof.json"

var linesEnds = []string{".jsonl", ".jsonl.gz"}

// find returns the exports at a path, by log, in the order of their events.
func find(path string) (map[string][]export, error) {
	for _, end := range linesEnds {
		if name, is := strings.CutSuffix(path, end); is {
			if _, err := os.Stat(path); err != nil {
				return nil, err
			}
			path = name + proofEnd
		}
	}
	logs := map[string][]export{}
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, end := range linesEnds {
			if begin, is := strings.CutSuffix(name, end); is {
				if _, err := os.Stat(begin + proofEnd); err != nil {
					return fmt.Errorf("%s has no manifest beside it", name)
				}
			}
		}
		if !strings.HasSuffix(name, proofEnd) {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		e := export{lines: strings.TrimSuffix(name, proofEnd)}
		if err := json.Unmarshal(text, &e.Manifest); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		logs[e.Origin] = append(logs[e.Origin], e)
		return nil
	})
	for _, list := range logs {
		slices.SortFunc(list, func(a, b export) int { return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Size, b.Size)) })
	}
	return logs, err
}

func check(list []export, verifiers note.Verifiers, kept []audit.Checkpoint) audit.Report {
	r := audit.NewReader(verifiers, kept...)
	for _, e := range list {
		if err := e.read(r); err != nil {
			return audit.Report{Verdict: audit.Unchecked, Reason: err.Error(), Seq: -1}
		}
	}
	return r.End()
}

func (e export) read(r *audit.Reader) error {
	f, err := os.Open(e.lines + ".jsonl.gz")
	plain, plainErr := os.Open(e.lines + ".jsonl")
	defer f.Close() // of what is not there it does nothing
	defer plain.Close()
	switch {
	case err == nil && plainErr == nil:
		return fmt.Errorf("%s is there packed and unpacked", e.lines)
	case plainErr == nil:
		return r.Read(e.Manifest, plain)
	case err != nil:
		return err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	return r.Read(e.Manifest, z)
}

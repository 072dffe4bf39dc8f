package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/postgres"
)

// riskVariable holds the DSN for a process of benchKilled, and riskDir the directory of its journal, and of the meter.
const (
	riskVariable = "ORGKIT_BENCH_RISK"
	riskDir      = "ORGKIT_BENCH_RISK_DIR"
)

// What a process of benchKilled does: so many calls at once, of so long each.
const (
	riskCalls  = 16
	riskTime   = 2 * time.Millisecond
	riskHeld   = 400_000_000 // pico-USD: 0.0004 USD
	riskActual = 300_000_000
	riskLimit  = "100" // USD
)

// meter is what a provider has charged, in a file in memory that survives who writes to it. A call that nobody saw the end
// of costs what it was estimated at.
func meter(dir string) (*atomic.Int64, error) {
	f, err := os.OpenFile(filepath.Join(dir, "meter"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return nil, err
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*atomic.Int64)(unsafe.Pointer(unsafe.SliceData(mem))), nil
}

// benchKilled has four processes spend a budget to its end while one of them is killed each second, and another
// started in its place.
func benchKilled(ctx context.Context, b *bench) (err error) {
	dsn, err := b.server.database(ctx)
	if err != nil {
		return err
	}
	b.begin("billing: a budget to its end, with a kill each second")
	dir, err := os.MkdirTemp(b.dir, "risk-")
	if err != nil {
		return err
	}
	charged, err := meter(dir)
	if err != nil {
		return err
	}
	s, err := postgres.Open(ctx, dsn, nil)
	if err != nil {
		return err
	}
	p, err := newPurses(ctx, s, riskLimit)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var processes [4]*exec.Cmd
	var inputs [4]io.Closer
	start := func(i int) (err error) {
		cmd := exec.CommandContext(ctx, exe)
		cmd.Env = append(os.Environ(), riskVariable+"="+dsn, riskDir+"="+dir)
		cmd.Stderr = os.Stderr
		if inputs[i], err = cmd.StdinPipe(); err == nil {
			err = cmd.Start()
		}
		processes[i] = cmd
		return err
	}
	for i := range processes {
		if err := start(i); err != nil {
			return err
		}
	}
	kills := 0
	began, moved, last := time.Now(), time.Now(), int64(0)
	for time.Since(moved) < 12*time.Second { // twice as long as it takes them to find what a dead one had
		time.Sleep(time.Second)
		if now := charged.Load(); now != last {
			moved, last = time.Now(), now
		}
		if time.Since(moved) >= time.Second { // all is spent, or is with the dead
			continue
		}
		i := kills % len(processes)
		kills++
		_ = processes[i].Process.Kill()
		_ = processes[i].Wait()
		if err := start(i); err != nil {
			return err
		}
	}
	for i := range processes {
		inputs[i].Close()
		if err := processes[i].Wait(); err != nil {
			return fmt.Errorf("a process that spends: %w", err)
		}
	}
	limit, spent := 100e12, float64(charged.Load())
	if spent > limit {
		return fmt.Errorf("%.0f of %.0f were spent", spent, limit)
	}
	b.values["billing.usable_killed_pct"] = exactly(spent / limit * 100)
	b.note("%s USD were spent within %.0f seconds, in which %d processes were killed", riskLimit, moved.Sub(began).Seconds(), kills)
	return p.close()
}

// risk is one process of benchKilled. It ends when its input does.
func risk(ctx context.Context, dsn, dir string) error {
	charged, err := meter(dir)
	if err != nil {
		return err
	}
	s, err := postgres.Open(ctx, dsn, nil)
	if err != nil {
		return err
	}
	g, err := rbac.NewGuard(s, nil)
	if err != nil {
		return err
	}
	j, err := billing.OpenJournal(filepath.Join(dir, "journals"))
	if err != nil {
		return err
	}
	p := purses{s, g, billing.NewLedger(s, g, &billing.Options{Journal: j})}
	purse := p.ledger.Purse(benchPath)
	var ended atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	var running sync.WaitGroup
	failed := make(chan error, riskCalls)
	for range riskCalls {
		running.Go(func() {
			for !ended.Load() {
				var h billing.Hold
				switch err := purse.Reserve(ctx, &h, riskHeld); {
				case errors.Is(err, billing.ErrExceeded):
					time.Sleep(10 * riskTime)
					continue
				case err != nil:
					failed <- err
					return
				}
				charged.Add(riskHeld)
				time.Sleep(riskTime)
				charged.Add(riskActual - riskHeld)
				if err := h.Settle(riskActual); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	running.Wait()
	close(failed)
	return errors.Join(<-failed, p.close())
}

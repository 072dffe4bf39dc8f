package billing

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// journalFile is the file of a journal, locked as long as its process lives: the kernel lets the lock go when the
// process is gone, and not when it only sleeps.
type journalFile struct{ *os.File }

// OpenJournal makes a journal of this process in a directory, which is on a local disk and belongs to the processes that
// share one database. Every ledger has one of its own there. Without support of the system it is [ErrNoJournal].
func OpenJournal(dir string) (*Journal, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	f, err := os.CreateTemp(dir, "*.new")
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &Journal{dir: dir, file: journalFile{f}}
	if err := j.make(boot); err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// make fills the file, locks it and gives it its name, in that order: nobody ever sees one that is not locked.
func (j *Journal) make(boot []byte) error {
	f := j.file
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	if err := f.Truncate(int64(journalSize)); err != nil {
		return err
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, journalSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	j.lay(mem) // it stays: a call may settle after the ledger is closed
	copy(j.head.magic[:], journalMagic)
	copy(j.head.boot[:], boot)
	return os.Rename(f.Name(), j.path())
}

func (j *Journal) path() string { return strings.TrimSuffix(j.file.Name(), ".new") + ".journal" }

func (f journalFile) close(remove bool) {
	if remove {
		os.Remove(strings.TrimSuffix(f.Name(), ".new") + ".journal")
	}
	f.Close()
}

// bootID is other after each start of the machine.
func bootID() ([]byte, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, errors.Join(ErrNoJournal, err)
	}
	return bytes.TrimSpace(id), nil
}

// orphan is the journal of a process that is gone.
type orphan struct {
	node  string
	proof map[string]remains
	file  *os.File // locked
}

func (o *orphan) close() { o.file.Close() }

// remove ends the journal: what it proves is in the database.
func (o *orphan) remove() {
	os.Remove(o.file.Name())
	o.file.Close()
}

// orphans are the journals in the directory whose processes are gone. They are locked, so that nobody else takes them.
func (j *Journal) orphans() (dead []*orphan) {
	if j == nil {
		return nil
	}
	names, _ := filepath.Glob(filepath.Join(j.dir, "*.journal"))
	for _, name := range names {
		if name == j.path() {
			continue
		}
		if o := adopt(name, text(j.head.boot[:])); o != nil {
			dead = append(dead, o)
		}
	}
	return dead
}

// adopt takes a journal if its process is gone. One that proves nothing, because the machine was started anew since or
// it was never used, is removed.
func adopt(name, boot string) *orphan {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	o := &orphan{file: f}
	if info, err := f.Stat(); err != nil || info.Size() != int64(journalSize) {
		o.remove()
		return nil
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, journalSize, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		o.close()
		return nil
	}
	defer syscall.Munmap(mem)
	j := &Journal{}
	j.lay(mem)
	if string(j.head.magic[:]) == journalMagic && text(j.head.boot[:]) == boot {
		o.node, o.proof = j.proof()
	}
	if o.node == "" {
		o.remove()
		return nil
	}
	return o
}

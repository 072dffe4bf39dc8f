package bunstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// words remembers the dictionary of logs, as far as it is committed: what a transaction adds is known
// to it alone until its end. Words never change and are never removed.
type words struct {
	mu    sync.RWMutex
	ids   map[string]int64
	texts map[int64]string
}

// maxWords bounds what is remembered; the database knows the rest.
const maxWords = 100_000

func (w *words) learn(found map[string]int64) {
	if len(found) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ids == nil || len(w.ids)+len(found) > maxWords {
		w.ids, w.texts = map[string]int64{}, map[int64]string{}
	}
	for text, id := range found {
		w.ids[text], w.texts[id] = id, text
	}
}

// wordID returns the number of a word, if it has one.
func (t *tx) wordID(ctx context.Context, text string) (id int64, is bool, err error) {
	t.words.mu.RLock()
	id, is = t.known(text)
	t.words.mu.RUnlock()
	if !is {
		var ids map[string]int64
		ids, err = t.wordIDs(ctx, []string{text}, false)
		id, is = ids[text]
	}
	return id, is, err
}

// known is the number of a word that is remembered. The caller holds the lock of the words.
func (t *tx) known(text string) (id int64, is bool) {
	if id, is = t.fresh[text]; !is {
		id, is = t.words.ids[text]
	}
	return id, is
}

// wordIDs returns the numbers of words. Those that are not there are added, or, without add, left out.
func (t *tx) wordIDs(ctx context.Context, texts []string, add bool) (map[string]int64, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	ids := make(map[string]int64, 8)
	var missing []string
	t.words.mu.RLock()
	for _, text := range texts {
		if _, known := ids[text]; known {
			continue
		}
		if id, known := t.known(text); known {
			ids[text] = id
		} else {
			missing = append(missing, text)
		}
	}
	t.words.mu.RUnlock()
	if len(missing) == 0 {
		return ids, nil
	}
	slices.Sort(missing) // one order for all, so that two units that add words do not wait for each other
	missing = slices.Compact(missing)
	for some := range slices.Chunk(missing, 500) {
		if err := t.lookUp(ctx, some, ids); err != nil {
			return nil, err
		}
	}
	if !add {
		return ids, nil
	}
	missing = slices.DeleteFunc(missing, func(text string) bool { _, known := ids[text]; return known })
	for some := range slices.Chunk(missing, 500) {
		st := t.statement()
		st.WriteString("INSERT INTO log_words (word) VALUES ")
		for i, text := range some {
			if i > 0 {
				st.WriteString(", ")
			}
			st.WriteString("(")
			st.param(len(t.Logs.Args), text)
			st.WriteString(")")
		}
		st.WriteString(" ON CONFLICT DO NOTHING")
		if _, err := t.sql.Tx.ExecContext(ctx, st.String(), st.args...); err != nil {
			return nil, err
		}
		if err := t.lookUp(ctx, some, ids); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// lookUp reads words of the database into ids.
func (t *tx) lookUp(ctx context.Context, texts []string, ids map[string]int64) error {
	st := t.statement()
	st.WriteString("SELECT id, word FROM log_words WHERE word IN (")
	for i, text := range texts {
		if i > 0 {
			st.WriteString(", ")
		}
		st.param(len(t.Logs.Args), text)
	}
	st.WriteString(")")
	return t.readWords(ctx, st, func(id int64, text string) { ids[text] = id })
}

func (t *tx) readWords(ctx context.Context, st *statement, each func(id int64, text string)) error {
	rows, err := t.sql.Tx.QueryContext(ctx, st.String(), st.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if t.fresh == nil {
		t.fresh = map[string]int64{}
	}
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		t.fresh[text] = id
		each(id, text)
	}
	return rows.Err()
}

// wordTexts returns the words of numbers.
func (t *tx) wordTexts(ctx context.Context, ids []int64) (map[int64]string, error) {
	texts := map[int64]string{}
	var missing []int64
	t.words.mu.RLock()
	for _, id := range ids {
		if _, known := texts[id]; known {
			continue
		}
		if text, known := t.words.texts[id]; known {
			texts[id] = text
		} else {
			missing = append(missing, id)
		}
	}
	t.words.mu.RUnlock()
	slices.Sort(missing)
	missing = slices.Compact(missing)
	for some := range slices.Chunk(missing, 1000) {
		st := t.statement()
		list := strings.Trim(strings.ReplaceAll(fmt.Sprint(some), " ", ","), "[]")
		fmt.Fprintf(st, "SELECT id, word FROM log_words WHERE id IN (%s)", list)
		if err := t.readWords(ctx, st, func(id int64, text string) { texts[id] = text }); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

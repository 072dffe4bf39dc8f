package audit

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// GapReason says why events are missing.
type GapReason string

// The reasons. Before its creation an organization had no events; those before the last prune are gone; with logging
// off, or not on for all families, some were never written.
const (
	GapBeforeCreation GapReason = "before_creation"
	GapRetention      GapReason = "retention"
	GapLoggingOff     GapReason = "logging_off"
)

// Gap is a time of which the log does not hold everything.
type Gap struct {
	From   time.Time
	To     time.Time // itself outside of the gap
	Reason GapReason
	// NotLogged are the families of which not all events were written, of GapLoggingOff: those whose whole family was
	// not asked for. What is mandatory was written all the same.
	NotLogged []string
}

// Gaps are the times from one to another of which the log of an organization, made at a time, cannot tell everything:
// in their order, none of them twice. An empty list says that all events of the time are there.
func (l *Log) Gaps(ctx context.Context, orgID string, made, from, to time.Time) (gaps []Gap, err error) {
	if err := l.catchUp(ctx); err != nil {
		return nil, err
	}
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		gaps = nil
		pos := from
		upTo := func(end time.Time, reason GapReason, notLogged []string) {
			if end = earliest(end, to); !pos.Before(end) {
				return
			}
			last := len(gaps) - 1
			if last >= 0 && gaps[last].To.Equal(pos) && gaps[last].Reason == reason && slices.Equal(gaps[last].NotLogged, notLogged) {
				gaps[last].To = end
			} else if reason != "" {
				gaps = append(gaps, Gap{pos, end, reason, notLogged})
			}
			pos = end
		}
		upTo(made, GapBeforeCreation, nil)
		cut, err := lastPrune(ctx, tx, orgID)
		if err != nil {
			return err
		}
		if cut.First > 0 {
			upTo(cut.Before, GapRetention, nil)
		}
		var off []string // from the last change on
		for f, err := range filters.All(ctx, tx, store.Range{Equal: []any{orgID}}) {
			if err != nil {
				return err
			}
			upTo(f.At, loggingOff(off), off)
			off = logged(strings.Fields(f.Globs)).without()
		}
		upTo(to, loggingOff(off), off)
		return nil
	})
	return gaps, err
}

func loggingOff(families []string) GapReason {
	if len(families) == 0 {
		return ""
	}
	return GapLoggingOff
}

// without are the families that are not logged as a whole.
func (l logged) without() (families []string) {
	if slices.Contains(l, "*") {
		return nil
	}
	for _, f := range Families() {
		if !slices.Contains(l, f+".*") {
			families = append(families, f)
		}
	}
	return families
}

package rbac

import (
	"math"
	"net/netip"
	"time"

	"github.com/shopspring/decimal"
)

// Inputs are what is known of a call. What is unknown is left at its zero value.
type Inputs struct {
	Now      time.Time
	IP       netip.Addr
	MFAAt    *time.Time       // when the acting person last proved a second factor
	MFAKnown bool             // there is a person, so that a nil MFAAt means never
	Cost     *decimal.Decimal // upper bound in USD
	Anomaly  Anomaly
	Approved func(ApprovalNeed) Truth // nil: unknown
	Own      Truth                    // whether the resource belongs to the person
}

// Anomaly is the score of the caller. Without a registered detector there is no anomaly: 0.
type Anomaly struct {
	Registered bool
	Score      float64 // 0 to 1
	Err        error   // the detector failed: unknown
}

// evaluation is one call under judgment: what is known of it, and who finds out what is not. It lives on the
// stack of the question: nothing in it may be called through an interface.
type evaluation struct {
	now   time.Time
	ip    netip.Addr
	mfaAt *time.Time
	cost  *decimal.Decimal

	given *Inputs // the rest, when it was given
	asker *asker  // else who finds it out

	// lasts is how long after now time alone changes nothing of what was judged.
	lasts time.Duration
}

// forever is how long what time does not change lasts.
const forever = time.Duration(math.MaxInt64)

func (in *Inputs) evaluation() evaluation {
	return evaluation{now: in.Now, ip: in.IP, mfaAt: in.MFAAt, cost: in.Cost, given: in, lasts: forever}
}

// holdsFor notes that something judged may change in so long.
func (e *evaluation) holdsFor(d time.Duration) { e.lasts = min(e.lasts, d) }

// until is the first moment at which time alone may change what was judged, zero for never.
func until(now time.Time, lasts time.Duration) time.Time {
	if lasts == forever {
		return time.Time{}
	}
	return now.Add(lasts).UTC()
}

func (e *evaluation) approved(need *ApprovalNeed) Truth {
	switch {
	case e.asker != nil:
		return e.asker.approved(e, need)
	case e.given.Approved == nil:
		return Unknown
	}
	return e.given.Approved(*need)
}

func (e *evaluation) anomaly() Anomaly {
	if e.asker != nil {
		return e.asker.score()
	}
	return e.given.Anomaly
}

// mfa is when the person last proved a second factor, and whether that is known: nil and known is never.
func (e *evaluation) mfa() (at *time.Time, known bool) {
	if e.mfaAt != nil {
		return e.mfaAt, true
	}
	if e.asker != nil {
		return e.asker.mfa()
	}
	return nil, e.given.MFAKnown
}

func (e *evaluation) own() Truth {
	if e.asker != nil {
		return e.asker.own()
	}
	return e.given.Own
}

// truth is that of an alternative, all its conditions and whether it is of one's own.
func (e *evaluation) truth(a alternative) Truth {
	t := True
	if a.own {
		if t = e.own(); t == False {
			return False
		}
	}
	if a.rule.tests != nil {
		t = t.and(a.rule.tests.truth(e))
	}
	return t
}

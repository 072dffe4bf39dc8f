package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store/storetest"
)

// What can be read at all is what would have been written.
func FuzzUnpacked(f *testing.F) {
	full := callAt("evt_1", storetest.NewClock().Now())
	for _, e := range []billing.UsageEvent{full, {}, {Corrects: "evt_1", InputTokens: -3}, {Unit: "gb", Resource: "bucket"}} {
		caller, call, detail, err := billing.Packed(e)
		require.NoError(f, err)
		f.Add(caller, call, detail)
	}
	f.Add("", "", []byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, caller, call string, detail []byte) {
		e, err := billing.Unpacked(caller, call, detail)
		if err != nil {
			return
		}
		who, what, packed, err := billing.Packed(e)
		if err != nil { // of a cost or quantity that no event may have
			return
		}
		back, err := billing.Unpacked(who, what, packed)
		require.NoError(t, err)
		require.Equal(t, e.Status, back.Status)
		require.Equal(t, e, back)
	})
}

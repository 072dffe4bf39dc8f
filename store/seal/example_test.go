package seal_test

import (
	"errors"
	"fmt"

	"github.com/orgkit/orgkit/store/seal"
)

func Example() {
	key, err := seal.ParseKey("85QobO+ad+xr8521LVgGY1tmw1dbNmOEXX5+9yVvaUQ=") // from the host's configuration
	if err != nil {
		fmt.Println(err)
		return
	}
	sealer, err := seal.New(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	at := seal.Place{OrgID: "org_1", Field: "siem.api_key"}
	sealed, err := sealer.Seal(seal.NewSecret("s3cret"), at)
	fmt.Println(sealed, sealed.IsSet(), err)

	secret, err := sealer.Open(sealed, at)
	fmt.Println(secret, secret.Reveal(), err)

	_, err = sealer.Open(sealed, seal.Place{OrgID: "org_2", Field: "siem.api_key"})
	fmt.Println(errors.Is(err, seal.ErrTampered))

	var none *seal.Sealer // a host without a key
	_, err = none.Seal(seal.NewSecret("s3cret"), at)
	fmt.Println(err)
	// Output:
	// [redacted] true <nil>
	// [redacted] s3cret <nil>
	// true
	// no key to seal secrets with is configured
}

// Package rbac decides whether an actor may do something here and now, and says why.
//
// [Guard.Check] answers a question; [Guard.Change] is the one way to change anything: it asks,
// does, records and raises the revision of the organization in one transaction. Roles, overrides,
// policies and approvals, which decisions are made of, are kept here too.
//
// # How a decision is made
//
//  1. A deny always wins.
//  2. Where a policy speaks, it decides: if allow statements of attached policies name the action
//     and resource, the conditions of one of them must hold, whatever a role says.
//  3. Where no policy speaks, roles decide: the role at the level of the organization and in the
//     team, with the team's overrides; what is removed beats what is added beats wildcards.
//
// A team's settings are compiled to deny statements, so that one engine explains everything. That
// a model needs approval is a deny while no approval is granted, not an allow with a condition:
// beside an allow of a policy with a cost limit, either one would do, and the limit would be lost.
//
// # Unknown inputs
//
// They fail closed, asymmetrically: an allow whose condition cannot be judged does not apply, a
// deny whose condition cannot be judged does.
//
// # Casbin
//
// Casbin evaluates; everything it is fed is compiled by this package. Its model has one matcher,
// our function over precompiled patterns, so none of its own pattern dialects decides anything
// (keyMatch("billing.delete", "*.read") is true), no rule can fail, and no enforcer is ever changed
// once it was built. Conditions are not in the matcher: it collects the statements that name the
// question, and this package tests their conditions for the call.
package rbac

// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	argov1alpha1 "github.com/skerry-platform/skerry/api/argoproj.io/v1alpha1"
)

// problem is an error that a person must see as a condition of the Application.
type problem struct {
	// condition is the type: InvalidSpecError, ComparisonError or SyncError.
	condition string
	message   string
	cause     error
	// silent is DestinationUnreachable or RepositoryUnreachable when that side does not answer.
	silent string
}

func (p *problem) Error() string { return p.message }
func (p *problem) Unwrap() error { return p.cause }

// invalidSpec: the Application asks for something that its AppProject refuses, that does
// not exist, or that this engine does not serve.
func invalidSpec(format string, args ...any) error {
	return &problem{condition: argov1alpha1.ConditionInvalidSpecError, message: fmt.Sprintf(format, args...)}
}

// cannotCompare: the repository or the destination could not be read, or a manifest could
// not be understood.
func cannotCompare(cause error, format string, args ...any) error {
	return &problem{condition: argov1alpha1.ConditionComparisonError, message: fmt.Sprintf(format, args...), cause: cause}
}

// mostErrors is how many mistakes are told at once: a status has room for so much.
const mostErrors = 10

// joinErrors is errors.Join for the first mistakes, with the number of the others.
func joinErrors(errs []error) error {
	if more := len(errs) - mostErrors; more > 0 {
		errs = append(slices.Clone(errs[:mostErrors]), fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// some joins the first of many names, with the number of the others.
func some(names []string, separator string) string {
	if more := len(names) - mostErrors; more > 0 {
		names = append(slices.Clone(names[:mostErrors]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, separator)
}

// noAnswer: one side does not answer, or not to us, which no edit of a manifest mends.
func noAnswer(silent string, cause error, format string, args ...any) error {
	return &problem{condition: argov1alpha1.ConditionComparisonError, message: fmt.Sprintf(format, args...), cause: cause, silent: silent}
}

// silentOf is the condition that says which side did not answer, empty when both did.
func silentOf(err error) string {
	var p *problem
	if errors.As(err, &p) {
		return p.silent
	}
	return ""
}

func isProblem(err error) bool {
	var p *problem
	return errors.As(err, &p)
}

// conditionOf finds the condition for an error; one that nobody foresaw is a ComparisonError.
// The message is the whole error, with the file and line around it.
func conditionOf(err error) argov1alpha1.ApplicationCondition {
	var p *problem
	if errors.As(err, &p) {
		return argov1alpha1.ApplicationCondition{Type: p.condition, Message: err.Error()}
	}
	return argov1alpha1.ApplicationCondition{Type: argov1alpha1.ConditionComparisonError, Message: err.Error()}
}

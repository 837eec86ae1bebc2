// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/version"

	oamv1 "github.com/skerry-platform/skerry/api/core.oam.dev/v1beta1"
)

// Evaluator answers questions: it runs Answer somewhere. CUE has no limit of its own, so
// whoever serves strangers runs it behind a fence (package fence). An *Error says that
// this question cannot be answered; any other error that trying again may help.
type Evaluator interface {
	Evaluate(ctx context.Context, question []byte) (answer []byte, err error)
}

// Unfenced answers in this process: for a person's own definitions (CLI) and for tests.
type Unfenced struct{}

// Evaluate implements Evaluator.
func (Unfenced) Evaluate(_ context.Context, question []byte) ([]byte, error) {
	return Answer(question, func(string) {})
}

// question is all that needs CUE: the objects of an Application, or the health of a
// component. It travels as JSON.
type question struct {
	Render *renderQuestion `json:"render,omitempty"`
	Health *healthQuestion `json:"health,omitempty"`
}

type renderQuestion struct {
	Application *oamv1.Application `json:"application"`
	// Definitions that the Application uses, no others.
	Definitions Definitions    `json:"definitions"`
	Cluster     string         `json:"cluster"`
	Version     version.Info   `json:"version"`
	Revision    oamv1.Revision `json:"revision"`
}

type healthQuestion struct {
	// Context that every part sees.
	Context map[string]any `json:"context"`
	Parts   []healthPart   `json:"parts"`
}

// healthPart asks what the status scripts of one definition say.
type healthPart struct {
	Definition string          `json:"definition"`
	Status     oamv1.Status    `json:"status"`
	Parameters json.RawMessage `json:"parameters"`
}

type answer struct {
	// Components in the order of the plan.
	Components []assembled `json:"components,omitempty"`
	// Said of each part, in order.
	Said []said `json:"said,omitempty"`
	// Refused is what is wrong with the Application or a definition; Failure anything else.
	Refused *Error `json:"refused,omitempty"`
	Failure string `json:"failure,omitempty"`
}

// assembled is a component as the templates made it: not placed in the cluster yet.
type assembled struct {
	Output     map[string]any  `json:"output,omitempty"`
	Outputs    []keyed         `json:"outputs,omitempty"`
	Parameters json.RawMessage `json:"parameters"`
	// Traits holds the parameters of each, with defaults.
	Traits []json.RawMessage `json:"traits,omitempty"`
}

// said is what the status scripts of one definition say.
type said struct {
	// Healthy is nil when there is no healthPolicy.
	Healthy *bool             `json:"healthy,omitempty"`
	Refused *Error            `json:"refused,omitempty"`
	Message string            `json:"message,omitempty"`
	Details map[string]string `json:"details,omitempty"`
}

// Answer evaluates the CUE that a question asks about, in this process. doing is called
// with the definition that is evaluated next.
func Answer(asked []byte, doing func(definition string)) ([]byte, error) {
	var q question
	if err := utiljson.Unmarshal(asked, &q); err != nil {
		return nil, fmt.Errorf("reading the question: %w", err)
	}
	var a answer
	var err error
	switch {
	case q.Render != nil:
		a.Components, err = q.Render.answer(doing)
	case q.Health != nil:
		a.Said = q.Health.answer(doing)
	}
	if err != nil && !errors.As(err, &a.Refused) {
		a.Failure = err.Error()
	}
	return json.Marshal(a)
}

// ask puts a question to an evaluator; nil means this process.
func ask(ctx context.Context, ev Evaluator, q question) (answer, error) {
	if ev == nil {
		ev = Unfenced{}
	}
	raw, err := json.Marshal(q)
	if err != nil {
		return answer{}, fmt.Errorf("writing the question: %w", err)
	}
	if raw, err = ev.Evaluate(ctx, raw); err != nil {
		return answer{}, err
	}
	var a answer
	if err := utiljson.Unmarshal(raw, &a); err != nil {
		return answer{}, fmt.Errorf("reading the answer: %w", err)
	}
	switch {
	case a.Refused != nil:
		return answer{}, a.Refused
	case a.Failure != "":
		return answer{}, errors.New(a.Failure)
	}
	return a, nil
}

// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

const logLevelHelp = "error, info (one line a decision) or debug"

// logger writes one JSON line an event, without stack traces: an error says by its words where it is from.
func logger(level string) (logr.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil || l > zapcore.ErrorLevel {
		return logr.Logger{}, fmt.Errorf("--log-level is %q; it may be %s", level, logLevelHelp)
	}
	return zap.New(zap.JSONEncoder(), zap.Level(l), zap.StacktraceLevel(zapcore.PanicLevel)), nil
}

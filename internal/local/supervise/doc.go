// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

// Package supervise keeps the processes of the local platform running. It is below
// station 4 of docs/flow.md: the node that everything else runs on.
//
// Two processes share the work. The supervisor starts the components, waits for their
// end on process file descriptors (no polling) and restarts them with back-off. The
// guard does the same for the supervisor alone, and the supervisor for the guard. So
// killing either brings it back; killing both in the same instant leaves the
// components running and unwatched until somebody starts the supervisor again.
//
// Components outlive their supervisor. Each is written down (its process ID, its start
// time in kernel ticks and the boot) before it is allowed to do anything, see
// AwaitStart, so a new supervisor adopts what runs instead of starting a second one.
// A file lock makes sure that there is only one supervisor for a folder.
package supervise

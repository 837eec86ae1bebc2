# Sourced by the scripts beside it: numbered steps with their times.
STEP=0 STEPS=${STEPS:-1} STARTED=$SECONDS

# step TITLE [EXPECTED]: announce the next step; EXPECTED says how long it takes, in words.
step() {
  STEP=$((STEP + 1))
  printf '\n[%d/%d] %s%s (%d s so far)\n' "$STEP" "$STEPS" "$1" "${2:+, $2}" $((SECONDS - STARTED))
}

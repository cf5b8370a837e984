# Sourced by run.sh: BenchmarkDotNet for the parsers, the spool and the scheduler, and what a message allocates end to end.

row_micro() {
    local project=bench/micro/Postwright.Bench.csproj program=bench/micro/bin/Release/net10.0/Postwright.Bench row dir status=0
    need_dotnet || return 1
    dotnet build -c Release "$project" -v q --nologo >"$work/micro.build" 2>&1 || { tail -n 20 "$work/micro.build"; return 1; }
    for row in discard relay; do
        dir=$work/allocations-$row
        # Only the configuration is wanted: the system runs inside the program.
        write_configuration postwright "$row" "$dir" "$port" "$sink"
        if [ "$row" = relay ]; then start_sink smtp-sink; fi
        echo "micro     $row, end to end:"
        (cd "$dir" && timeout 300 "$OLDPWD/$program" allocations "$dir/etc" "$port" "${ALLOCATION_MESSAGES:-20000}") >"$work/allocations" || status=1
        sed 's/^/          /' "$work/allocations"
        verdict micro "bytes allocated per message, $row (objects, sampled: $(awk '/^allocated/ {print $8}' "$work/allocations"))" \
            "$(awk '/^allocated/ {print $2}' "$work/allocations")" - printed
    done
    stop_everything
    timeout 900 "$program" micro ${MICRO:-} || status=1
    return $status
}

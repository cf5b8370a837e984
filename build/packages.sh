# Sourced. need PACKAGE...: installs the Debian packages that are missing, as root or by sudo, or says what to do.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local become=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "These Debian packages are missing: ${missing[*]}. Run this as root, or install them with: apt-get install ${missing[*]}" >&2
            return 1
        }
        become=(sudo)
    fi
    echo "installing: ${missing[*]}" >&2
    # A real Postfix is the oracle of the tests; its own instance is never started.
    export DEBIAN_FRONTEND=noninteractive
    if ! "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
        "${become[@]}" apt-get update >/dev/null
        "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null
    fi
}

need_dotnet() {
    command -v dotnet >/dev/null && dotnet --list-sdks | grep -q '^10\.' && return 0
    echo "The .NET 10 SDK is missing. Install it (https://dotnet.microsoft.com/download/dotnet/10.0), then run this again." >&2
    return 1
}

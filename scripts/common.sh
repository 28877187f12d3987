# What the scripts share; to be sourced by bash. Knows where the repository is, how to speak, and where CUDA lies.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# cuda_find: puts nvcc on PATH and exports CUDACXX, or ends with what to do.
cuda_find() {
    local candidate
    if ! command -v nvcc >/dev/null; then
        for candidate in /usr/local/cuda /usr/local/cuda-*; do
            [ -x "$candidate/bin/nvcc" ] && PATH="$candidate/bin:$PATH"
        done
    fi
    CUDACXX=$(command -v nvcc) ||
        die "no CUDA toolkit: nvcc is neither on PATH nor in /usr/local/cuda*. Install the CUDA toolkit, 12 or newer."
    export PATH CUDACXX
}

# jobs: how many compilers to run at once.
jobs_count() { nproc 2>/dev/null || echo 2; }

# gpu_present: whether a driver lists a GPU; loads nothing else of CUDA.
gpu_present() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q '^GPU'; }

# configure PRESET: as CMakePresets.json has it; quiet unless it fails.
configure() {
    local log="$root/build/$1.configure.log"
    mkdir -p "$root/build"
    cmake -S "$root" --preset "$1" >"$log" 2>&1 || {
        cat "$log" >&2
        die "cmake could not configure the preset '$1'"
    }
}

# build PRESET [TARGET...]: ninja's progress stays visible.
build() {
    local preset=$1
    shift
    configure "$preset"
    cmake --build "$root/build/$preset" -j "$(jobs_count)" ${1+--target "$@"} || die "the build '$preset' failed"
}

# cuda_libraries_for PROGRAM: when the loader does not find the program's CUDA libraries, adds to LD_LIBRARY_PATH the
# folders where toolkits and Python wheels keep them.
cuda_libraries_for() {
    local folder
    ldd "$1" 2>/dev/null | grep -q 'libcu.*not found' || return 0
    for folder in /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 /usr/local/cuda/targets/*/lib \
        $(python3 -c 'import glob, sys; print(*[f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib")])' 2>/dev/null); do
        # An unmatched pattern stays as it is, with its bracket.
        case "$(echo "$folder"/libcu{blas,dart}.so.1[0-9])" in
        *.so.1[0-9]*) LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder ;;
        esac
    done
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
}

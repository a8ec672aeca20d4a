# Builds asgate and serves the sample FastAPI application with it, on http://127.0.0.1:8080, until Ctrl-C.
#
#   scripts\run.ps1 [-Release] [-Config FILE]
param(
    [switch] $Release,
    [string] $Config
)

. (Join-Path $PSScriptRoot 'setup.ps1')

$root = Split-Path -Parent $PSScriptRoot
if (-not $Config) { $Config = Join-Path $root 'examples\fastapi\asgate.yaml' }
$buildProfile = if ($Release) { 'release' } else { 'dev' }

& cargo run --quiet --locked --manifest-path (Join-Path $root 'Cargo.toml') --profile $buildProfile --bin asgate -- run -c $Config
exit $LASTEXITCODE

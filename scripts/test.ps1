# Checks the whole project: format, clippy, documentation, examples in the documentation, all tests.
#
#   scripts\test.ps1 [FILTER]      with a filter: only the tests whose name contains it
param([string] $Filter)

. (Join-Path $PSScriptRoot 'setup.ps1')
Set-Location (Split-Path -Parent $PSScriptRoot)

function Invoke-Step([string] $Name, [string[]] $Cargo) {
    Write-Host "`n== $Name"
    & cargo @Cargo
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

if (-not $Filter) {
    Invoke-Step 'format' @('fmt', '--check')
    Invoke-Step 'clippy' @('clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings')
    $env:RUSTDOCFLAGS = '-D warnings -A rustdoc::private-intra-doc-links'
    Invoke-Step 'documentation' @('doc', '--locked', '--no-deps', '--document-private-items')
    $env:RUSTDOCFLAGS = $null
    Invoke-Step 'examples in the documentation' @('test', '--locked', '--doc')
}

$tests = if (Get-Command cargo-nextest -ErrorAction SilentlyContinue) {
    @('nextest', 'run', '--locked', '--workspace', '--lib', '--bins', '--tests')
} else {
    @('test', '--locked', '--workspace', '--lib', '--bins', '--tests')
}
if ($Filter) { $tests += $Filter }
Invoke-Step 'tests' $tests

# Completion of keyless(1) for bash; goes to /usr/share/bash-completion/completions/keyless

_keyless() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}
    local -A options=(
        [init]="--server --edge --host --key --cert --key-server --server-key --name --user --server-listen --edge-listen --origin --json"
        [genkey]="--json" [pubkey]="--group --json"
        [check]="--config --server --edge --online --explain --from --name --at --json"
        [status]="--all --json"
        [ping]="--config --count --json"
        [keys]="--config --json"
        [bench]="--config --op --key --in-flight --channels --seconds --warm-up --name --admin --json"
        [audit]="--key --head --part --live --follow --lines --edge --op --result --trace --json"
        [trace]="--connect --ca --insecure --admin --tls --cipher --local-key --local-cert --json"
    )
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "init genkey pubkey check status ping keys bench trace audit help --version" -- "$word")
    elif [[ $verb == audit ]] && ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W "verify tail --help" -- "$word")
    elif [[ $verb == bench && $before == --op ]]; then
        mapfile -t COMPREPLY < <(compgen -W "sign_tls13 sign_tls12 rsa_premaster rsa_master" -- "$word")
    elif [[ $verb == bench && $before == --key ]]; then
        mapfile -t COMPREPLY < <(compgen -W "rsa2048 rsa3072 rsa4096 p256 p384 ed25519" -- "$word")
    elif [[ $before == -c || $before == --config || $before == --key || $before == --cert || $before == --ca || $before == --local-* || $word != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "${options[$verb]} --help" -- "$word")
    fi
}
complete -F _keyless keyless

/* Primes for the keys of tests, made once: to search them anew takes half a second for each RSA key, and no
 * test asks how a key was found. For tests only: whoever reads this has these keys. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_KEYSERVER_TEST_PRIMES_H
#define TESTS_UNIT_KEYSERVER_TEST_PRIMES_H

#include <openssl/bn.h>
#include <stddef.h>

#define PRIMES_OF_A_SIZE 4
#define PRIMES_PAIRS     6 /* of different ones: keys of a size */

/* Their two highest bits are set, and none is 1 modulo 65537. Of odd sizes there is one only. */
static const struct {
    size_t bits;
    const char *hex[PRIMES_OF_A_SIZE];
} primes_table[] = {
    {1024,
     {
         "e7357cb136a1151c87f3081204627987ed3303915fd12602234dbe9f28156f655452feb46293c308ff8e8033a0b1bd10"
         "b9d5aca580b53d944c1129f55dca477125dba8dd974cac821886e49cc87cfbb79ad59ee04a27b6a7d2c3e5aae542be6a"
         "2ae117db17dd541b0d437e7ee3d56591eb6ff3bf09cc08160f113d699e47c39d",
         "d4ca415326980efbab24fe3385056464c89f5060dcbf7f77ccce087cae046fb1a75f24b21f880ecbab8e7631bfde8525"
         "a6626aab588f6645eeca14a9836eefbb51a0dd419112329a817567f92f3eceafd11a4379f2d0fc60e4e157e4dcc349d4"
         "63b4933a9a762c2e8f6174447da5407807ee8e931e16fcad97a474c23b58f287",
         "c31476fd8fdbdeba073883bff4bead0f639bf90dc11dff5831e1a63a9c392c4d36509034911aa21d4f99a3a088117fc9"
         "80a92b6ca4660d1c8ec9cb5d7908ef34ffb2cba68f64ee7bbcb06bf5ec46fda3368883ae605236b0d4b1b100986b70fd"
         "94e71d7ae03b59996e727211c68a9dedd700fc801480c0b41c5ece88bcec4f6d",
         "edcf74c087b570b2041537ebd4600116384775878efcefd9d52bd3f8e9a1b3698c6a5373050df8a1b89f4b4c2ce87fd5"
         "08200843c9ac4abfff77f8b7b7f36492ff53e280003ee9ccee0a5c7e04198765d603e0b1b09d61cb84cd4bd2fcb2a287"
         "73cad128287c1f381a589441834092b38d6c7bd32d8a776c20113ad48e9186b7",
     }},
    {1536,
     {
         "edf007cd1fe21785c61384629f249dc68880f0f7b5d1f0aa91136612246b0dd3dd27aeb7e923eddb330c2e1507615137"
         "c8e6e5c1b0442d1fdc2a81cf8e108d6c06b88b36dbc3a8ca30a35e08c1371f6950ba39994e78a7aa64776c12cf70a958"
         "14ec157e23e304996e05e34e9b103a594cdea74fd7364117f95fb96efd953a602a07abe191b40c8d4ffc2e965f8912a8"
         "d33c98eac50cbbe1dd2900b4512810a544e844c9ca24f79c85399a960b29e4ad4624b1d2d1bb7c555ac35a2427586e37",
         "f05049a280b01fb2f376af24e8960e6c9f47a8acab4e4dccd93db81c8bb4aefd3d0839d54790557b1493bc8b28ac48b3"
         "2fa6bdc4f88797c84d50810173a255202261278bc9fb6855ea20018d2c79410c2f1baf9c86f2d3eb9be71c87397d29db"
         "4c1d4f96f32af735be733776c62a95d0cb61ce949d788856c5a85de9e3711a96825c3f62716f57241db8b13a4e8c4d09"
         "dd24a5d312f7dbff5f48efb6f09b4c7508d09c28dc21b9df5ebd62a4eddf070685ee4ce75a2b3c38ff2007df4690438d",
         "c64ad4bb5f461af30aa52e61d1e2b2fdd7f70f7faef34213a6ce964f6dbda52eaa508be17c649b0d28015284fd6a983e"
         "87a0b91cd1ca09d09f0a0c8ff861cce6118e74cdc75d29030ea77502b30ea5124ab202ee07d685c5ddc60e2998c18eb7"
         "d6edfd64a73e3caa1211a0f65f1c92d95c5570ef0310588392d0ce4bd1ed76037cd4b0851b73c81264aee490db3a77b9"
         "af997608932490913bfcb55965c1e0a1177fa8ba1e2deea1ca53811874405394540e0e393699608b716f6e786fd7062f",
         "fda3b4f51792c7bcef210477852c4fb39451aafc115a49bfa423fe74a99d535704041d3ac67bd893dd43783d634ad4d9"
         "5d3d681dce41eb91008782e2735710b95d6d71a2dba9abbe3d6dc350cf83d110f595737a2cd2eea56268c66318cac53b"
         "720dd128b59f58df7dc4217229589c5c95afbf24068e43e396c226c49febdc290ac088b1ac31044c3216a62dd2facc4a"
         "df9ff57bec60dc5a1a313c1ea353f162fa99d958d7581a0d348034c1f09ec440738aa7dba8da8d20af1f0f37aaea9df7",
     }},
    {2048,
     {
         "f5eb4455c9a7d27bb8e86b24f469ad662b8c18b4a0f5a2a2528aad5087e5aefb43bec49823bf7ba48767f37a8bfae883"
         "a8e0a143b3f2ed5243b93bfa060a5c94913007b94738a9b00ee45676f9c18c36b356215435911ff617e21faddf99e248"
         "53ab65f5a57b33b457012053dd885946de69ecf35c78b3624530101c88beadd16bae7290cfb00e8e58cc85c1d91391b0"
         "bb074bc6ad0f1bf848b73799f869c14a7c4955e4777ba6d650946fed4d2ff2bd25f907db246c4f41f791713288dfafdc"
         "c46fea7c88982d34d3943adfd4bc2ca3edae5ad7c9b5aea65d1e4d91e9717481ecf1464480eb7e709ff30d4ff6a1cc11"
         "85603fc0a4a1dc441c0e114fd0ba29cf",
         "c3cd3ee1e4228ac71379fc68b809ae072b592d7e4bda78ca451dd3ef5537d8f82d1d7984c46f754140f259b1624b7732"
         "a078b075c8d5e3f0923639563da1adda87a8dd5f1ea4b2964c19530b67bedb4aaaa5256af38ba7bb483ad977ef9d3c0b"
         "45884fcbeaaa82953e0249cdf767680949407d2bb07212d870d7d7235a305ddedae566080f7cbdcaf2d7cb2e49642cca"
         "66ba7b9fbe7e1c19d309254a3a731ce48512419d3db248ea171d91c92c51bd70caf75454fae2ebb5ba6198573a15c25b"
         "8d4c740935c27e817db66a6efdbfa547481dacee55b85d01dc1af3a9096ae3c32bc818478887f382d2d982bfca31de9e"
         "7e1fc6dfef93ae2ec806fe12d40d8c1f",
         "ec06dcc0c8ab1dee6884ec131e0f05e8c8b7a87807199eba6df39debfb32f1b471a1f298b5d095b8db71561fb12359f1"
         "3f8e25082c5864a3f046686663ae7702b4864ed42f8d4772ad9c0f9c4edaf6ffc8a377848ec84930c3eb27050e2b57fa"
         "e55bc114f90ce0c17a78a8f1f7ce64c35a8dd0bbbcb0f49de4bb83f93679da51e3aedcc6a8c95e98f79a5f7e0da83180"
         "d59f290151ae34ca03ff11c1c0aa010d2e7d488c50d99f26de83965db0675cb5dec2067960b3db6b0db1656702267f71"
         "e1855be797cb662afa1cba813b96335c06977768a19247120b747e290950ed1c9a970c6a647f789467741048abe3f448"
         "8346db630d40164d4fe9b646b2e4a3d5",
         "cd7e7e5517cc65a02d82b3fe54da7a7042a98261eefad78b1c8b64f013bce47b6ee4f15af812a756a89f022cb0c17e8f"
         "db06c28d768634f664be3284536f28e06632f7033c71ef3864aeb2cb850138eaf56d80ddb27b86977818747f1f43540a"
         "cc5a6cee3876cae832d7561bcc2fd24d64b1c38f84ac61c1b2437dd3a2acb8b6b58c47a8f8789b0e736237489bc348e4"
         "8132a5727b421008ae88cb185c56681e358a0c937e58d7f6fcc63f998e1ed5a85eefa3d96fdd7767017046766f64b006"
         "a0a8d60b1d383c28d548454813e30a141a5d2302dfc74b20a839d874b43ac2f7abe53d864be88d2b12ea8653ab4be86f"
         "3c93828d682ac2cb54e3568286504755",
     }},
    {1018,
     {
         "388df96066ecbfb73cf0fb4b14ef66723692c3910004d3d8e692624dda9a6588008e730fc56600c8166742f0664af786"
         "495ab19e0c43a31b216bb31fdc04e40aebe89237d4aa8f7f89f5fbcab6d123398b3d150aad6d3741c066d4b728f3f1e7"
         "1fdcafddeb1070db1392d824a0335aa2912947d86f3933932956307d7834f77",
     }},
    {1030,
     {
         "3152b83667ae8f24c4352d51c829e9c1bfbdbced31a398d174cba1385cc98f59ba7293fb026b4257f09dda9b5e63ea0a"
         "8bc176dd1d3450a84db67af6096a30a3867570c9a3ded5bfaa5f6190135f8da04b2801d5d180f607aaf8501c160a8821"
         "5d95d7ff504632dad395283849711e844634852c5288134ab7f7fe2affb34e0901",
     }},
    {1100,
     {
         "fb9bc5948b9348f1ee6763b0e30d97a10149455e37f0bc2439a5c51fffc682a7c5b5a9e48c03b39bdb6f8fc015f0de98"
         "3cde9e8afcfb59ea18c1a2bc703d123986e340e00d9ed61aeb61160962cc11aca657d92b3b4b5895bcc59dc648881f43"
         "781a4c993a8fa0620e01b8bfe7624b2e349fa96b70c2f4050ad44fe12a2f44edc6c2107ef8f2d1cca79",
     }},
    {1640,
     {
         "dd1528aa4cc209809da2c4bd52f59b7c3abc683e70c357d1ae2544c732578d411d22174b04ce81a4a45ec9bc5bdc7ec1"
         "6ff7eb05e826e57ef49cdfa4837775182a93a0f95c20adf83475fc280a3ac9c5338338fc2d3371da154676f35b4c4f39"
         "45bf96b0bd6c55ecd9615bea8943a6b9cd2cf395dfbe6e4e53bcbabd9b4266df9da5b5c10616eba693d14680e8ca0a43"
         "c20d5335d5ae34f9a995cf35d6457fc41a97d4c92d76f641a532d7ba2621dbdb9fbc2c5d3fbc0bfb795338957a644579"
         "967f1c8af23fc37cba7c18f74b",
     }},
    {1700,
     {
         "e35078f640640aee411465030d4aeb25562718eeaa9fa1113631d82f71161a45cc3c2d92e52b51e079c8019aa830e59e"
         "fd152910cfa65f99153705c3d8db1f16403bc5060c8d2973ec25719d97fa0833ecaebd981e4b699f959f00bc974d1d2e"
         "2833ac61da9acfe39d7a1b2b96c0e433dd6ee8b48e335770d3e12ba51677ac5c3c25aa18c03741c390549ef76eadc1b7"
         "375c315e4b127a5fecc4cc3716f4a859f58226efb8e0f35552a552dcd2e15538cff9b7e3a20761fe3c3ab2ef748838e7"
         "87f76a624ee3ea0cb6e1e6ac1175ecfbc8136306b",
     }},
    {2010,
     {
         "3b07d0872445b16fdef2556d4bb5eaa30a35a87b846d425f8330454ce7dfb175636613dc6edf07dea37c32696683210f"
         "85df429aab223219f8693dfdc5ead8a0137b83fdd39a40c662329afdb644e082c8aa13e6099589f20497ca690e22905f"
         "519a74502ea55fcf90c6601ab42cf7b909c0457065ce63c7630e588d1b73faf7f313593bd3ed45337440fde53bf05f14"
         "fcdc2993b3e7a09986beb6599464bf684af72d10359851de46113eabe63180fc4c0278f6822a53bbe1c3eb7e3d113a64"
         "f5b4a20d578ab8bd3170d2a232cd96bc7021c887a5a8d5759fc00ce6feb36e7358272abd41c64872afc19c54e57ee2e5"
         "863f0145fcbcee1abacd98d",
     }},
};

/* Prime NUMBER of BITS bits, the caller's; NULL when there is none. */
static inline BIGNUM *primes_find(size_t bits, size_t number)
{
    BIGNUM *prime = NULL;
    for (size_t i = 0; i < sizeof primes_table / sizeof primes_table[0]; i++)
        if (primes_table[i].bits == bits && number < PRIMES_OF_A_SIZE && primes_table[i].hex[number] != NULL)
            (void)BN_hex2bn(&prime, primes_table[i].hex[number]);
    return prime;
}

/* Pair NUMBER of primes of BITS bits, the caller's; 0 when there is none. */
static inline int primes_find_pair(size_t bits, size_t number, BIGNUM **p, BIGNUM **q)
{
    static const size_t pairs[PRIMES_PAIRS][2] = {{0, 1}, {2, 3}, {0, 2}, {1, 3}, {0, 3}, {1, 2}};
    *p = *q = NULL;
    if (number >= PRIMES_PAIRS)
        return 0;
    *p = primes_find(bits, pairs[number][0]);
    *q = primes_find(bits, pairs[number][1]);
    return *p != NULL && *q != NULL;
}

#endif

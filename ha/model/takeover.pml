/* Take-over: a model of what keeps one log, whoever believes what: the fence in the journal's statement,
 * the claim, and the identity of the database with its live proof. Checked by spin over every order of
 * steps within the bounds below (ha/model/check.sh).
 *
 * Two nodes, the pair's database (0) and a clone of it (1) that may be taken at any moment and is equal
 * in everything but the instance. A node's DAP may lead to either, and may change at any moment. A node
 * that does not step is frozen; one that crashes forgets all but what its state_dir holds. A statement
 * that was sent goes on at the server whatever becomes of its node.
 *
 * Names are those of the code: dap/commit.c (the statement), dap/claim.c, ha/pair_takeover.c (judging),
 * ha/daps_judge.c (the live proof). Not in the model: time, the contents of entries, checkpoints, and why anybody
 * wants to take over, since safety must not depend on it: a backup may judge and claim whenever it likes.
 */

/* The rules; 0 takes one away. */
#ifndef FENCE
#define FENCE 1 /* the statement locks the pair's row, and judges epoch and generation on it */
#endif
#ifndef PROOF
#define PROOF 1 /* only the instance that was proven is written to, or claimed */
#endif
#ifndef LOCK_FIRST
#define LOCK_FIRST 1 /* the claim reads what it compares under the lock */
#endif
#ifndef COMMIT_FIRST
#define COMMIT_FIRST 1 /* nothing is told before its batch is committed */
#endif

#ifndef REACHED
#define REACHED 0 /* 1: fails where the work of a second claim is told, to show that it comes to that */
#endif

/* The bounds. */
#ifndef ENTRIES
#define ENTRIES 3
#endif
#ifndef CLAIMS
#define CLAIMS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define NOBODY 2
#define NONE 255

typedef database_t {
    byte epoch;
    byte generation;
    byte head;
    byte journal[ENTRIES + 1]; /* by index: the generation that wrote it */
    byte owner                 /* of the lock on the pair's row: a node, NOBODY */
}

typedef node_t {
    byte dap;      /* the database that it leads to */
    byte instance; /* that is proven; NONE */
    byte watched;  /* the instance that it looked at last; NONE */
    byte watched_head;
    bool serves;
    byte epoch;
    byte generation;
    byte head
}

/* The journal's statement of a node, on its way: to a database, under an epoch. */
typedef statement_t {
    byte step; /* 0: none; 1: sent; 2: judged, and locked; 3: answered */
    byte database;
    byte epoch;
    byte generation;
    byte instance;
    byte first;
    bool inserted
}

database_t databases[2];
node_t nodes[2];
statement_t statements[2];
bool cloned;
byte told[ENTRIES + 1]; /* by index: what a client was told of it; 0: nothing */
byte claims;
byte crashes;
byte highest_epoch;

/* What was told stays true of the pair's own database, and of what is served. */
inline tell(index, generation_)
{
    assert(told[index] == 0 || told[index] == generation_);
    assert(!REACHED || generation_ < 3);
    told[index] = generation_
}

inline holds(d)
{
    assert(told[1] == 0 || (databases[d].head >= 1 && databases[d].journal[1] == told[1]));
    assert(told[2] == 0 || (databases[d].head >= 2 && databases[d].journal[2] == told[2]));
    assert(told[3] == 0 || (databases[d].head >= 3 && databases[d].journal[3] == told[3]))
}

inline clear(n)
{
    statements[n].step = 0;
    statements[n].database = 0;
    statements[n].epoch = 0;
    statements[n].generation = 0;
    statements[n].instance = 0;
    statements[n].first = 0;
    statements[n].inserted = false
}

/* The server's part of a statement. */
proctype server(byte n)
{
    byte d;
    do
    :: atomic {
           statements[n].step == 1 &&
               (!FENCE || databases[statements[n].database].owner == NOBODY) ->
           d = statements[n].database;
           if
           :: databases[d].epoch == statements[n].epoch &&
                  databases[d].generation == statements[n].generation &&
                  (!PROOF || statements[n].instance == d) ->
              if
              :: FENCE -> databases[d].owner = n
              :: else
              fi;
              statements[n].step = 2
           :: else -> statements[n].step = 3
           fi;
           d = 0
       }
    :: d_step {
           statements[n].step == 2 ->
           d = statements[n].database;
           if
           :: databases[d].head + 1 == statements[n].first ->
              /* One log: only the owner of the epoch writes, and only the pair's own database. */
              assert(databases[d].generation == statements[n].generation);
              assert(d == 0);
              databases[d].head = statements[n].first;
              databases[d].journal[databases[d].head] = statements[n].generation;
              statements[n].inserted = true
           :: else
           fi;
           if
           :: FENCE -> databases[d].owner = NOBODY
           :: else
           fi;
           statements[n].step = 3;
           d = 0
       }
    od
}

proctype node(byte n)
{
    byte epoch;
    byte generation;
    byte head;
    byte d;
    do
    /* ---- A primary ---- */
    :: atomic {
           nodes[n].serves && statements[n].step == 0 && nodes[n].head < ENTRIES ->
           statements[n].database = nodes[n].dap;
           statements[n].epoch = nodes[n].epoch;
           statements[n].generation = nodes[n].generation;
           statements[n].instance = nodes[n].instance;
           statements[n].first = nodes[n].head + 1;
           statements[n].inserted = false;
           statements[n].step = 1;
           if
           :: !COMMIT_FIRST -> tell(nodes[n].head + 1, nodes[n].generation)
           :: else
           fi
       }
    /* Its answer: tells what is committed; stops at once when nothing was inserted. An answer to an
     * earlier life is nobody's. */
    :: atomic {
           statements[n].step == 3 ->
           if
           :: !nodes[n].serves || statements[n].generation != nodes[n].generation
           :: else ->
              if
              :: statements[n].inserted ->
                 nodes[n].head = statements[n].first;
                 tell(statements[n].first, statements[n].generation)
              :: else ->
                 nodes[n].serves = false
              fi
           fi;
           clear(n)
       }
    /* ---- The live proof: two looks at one instance, and between them a commit ---- */
    :: atomic {
           PROOF && !nodes[n].serves && nodes[n].instance != nodes[n].dap &&
               (nodes[n].watched != nodes[n].dap ||
                databases[nodes[n].dap].head > nodes[n].watched_head) ->
           d = nodes[n].dap;
           if
           :: nodes[n].watched == d -> nodes[n].instance = d
           :: else
           fi;
           nodes[n].watched = d;
           nodes[n].watched_head = databases[d].head;
           d = 0
       }
    /* ---- A claim: judges, locks, compares, changes ---- */
    :: atomic {
           !nodes[n].serves && statements[n].step == 0 && claims < CLAIMS &&
               (!PROOF || nodes[n].instance == nodes[n].dap) ->
           d = nodes[n].dap;
           epoch = databases[d].epoch;
           generation = databases[d].generation;
           head = databases[d].head
       };
       if
       :: atomic {
              databases[nodes[n].dap].owner == NOBODY && claims < CLAIMS ->
              d = nodes[n].dap; /* it may lead elsewhere by now */
              if
              :: (PROOF && nodes[n].instance != d) || databases[d].epoch != epoch ||
                     databases[d].generation != generation ||
                     (LOCK_FIRST && databases[d].head != head)
              :: else ->
                 databases[d].owner = NOBODY;
                 claims++;
                 databases[d].epoch =
                     (databases[d].epoch > highest_epoch -> databases[d].epoch : highest_epoch) + 1;
                 highest_epoch = databases[d].epoch;
                 databases[d].generation = claims + 1;
                 nodes[n].epoch = databases[d].epoch;
                 nodes[n].generation = claims + 1;
                 nodes[n].head = (LOCK_FIRST -> databases[d].head : head);
                 nodes[n].serves = true;
                 /* What it serves from has all that anybody was told. */
                 holds(d);
                 assert(nodes[n].head == databases[d].head)
              fi;
              epoch = 0;
              generation = 0;
              head = 0;
              d = 0
          }
       /* It gives up waiting for the lock, or dies. */
       :: atomic {
              true ->
              epoch = 0;
              generation = 0;
              head = 0;
              d = 0
          }
       fi
    /* ---- A crash: what state_dir holds stays ---- */
    :: atomic {
           crashes < CRASHES ->
           crashes++;
           nodes[n].serves = false;
           nodes[n].watched = NONE;
           nodes[n].watched_head = 0;
           nodes[n].epoch = 0;
           nodes[n].generation = 0;
           nodes[n].head = 0
       }
    od
}

/* What befalls the database's surroundings. */
proctype faults()
{
    do
    :: d_step {
           !cloned && databases[0].owner == NOBODY ->
           cloned = true;
           databases[1].epoch = databases[0].epoch;
           databases[1].generation = databases[0].generation;
           databases[1].head = databases[0].head;
           databases[1].journal[1] = databases[0].journal[1];
           databases[1].journal[2] = databases[0].journal[2];
           databases[1].journal[3] = databases[0].journal[3]
       }
    :: d_step { cloned -> nodes[0].dap = 1 - nodes[0].dap }
    :: d_step { cloned -> nodes[1].dap = 1 - nodes[1].dap }
    od
}

init
{
    atomic {
        /* Node 0 serves epoch 1 of the pair's database, which it was started with. */
        databases[0].epoch = 1;
        databases[0].generation = 1;
        databases[0].owner = NOBODY;
        databases[1].owner = NOBODY;
        highest_epoch = 1;
        nodes[0].serves = true;
        nodes[0].epoch = 1;
        nodes[0].generation = 1;
        nodes[1].instance = NONE;
        nodes[0].watched = NONE;
        nodes[1].watched = NONE;
        run server(0);
        run server(1);
        run node(0);
        run node(1);
        run faults()
    }
}

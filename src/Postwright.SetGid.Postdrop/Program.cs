return Postwright.Commands.Shared.CommandHelp.Asked("postdrop", args) ? 0 : Postwright.Commands.Postdrop.Run(args);
